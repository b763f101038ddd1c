use std::sync::Arc;

use super::*;
use crate::estimation::timeline::Timeline;
use crate::telemetry::{ClockEvents, Fast, GpuId, GpuSample, Slow, TelemetryLog, Trouble};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{WarningCode, Window};

const UUID: &str = "GPU-a";

fn window(start: f64, end: f64) -> Window {
    Window {
        start_monotonic_sec: start,
        end_monotonic_sec: end,
    }
}

/// Samples a GPU every half second for 60 s with the readings that `slow` and `fast` return.
fn log(fast: impl Fn(f64) -> Fast, slow: impl Fn(f64) -> Slow, pids_are_ours: bool) -> TelemetryLog {
    let id = GpuId {
        index: 3,
        uuid: UUID.to_owned(),
    };
    let mut log = TelemetryLog::new(&[id], 0.1, pids_are_ours);
    for tick in 0..120 {
        let at = f64::from(tick) / 2.0;
        log.gpus[0].push(GpuSample {
            at: Monotonic::from_sec(at),
            fast: fast(at),
            slow: slow(at),
        });
    }
    log
}

fn calm(_: f64) -> Fast {
    Fast {
        clock_events: Some(ClockEvents::from_bits(0x1)),
        ..Fast::default()
    }
}

fn cool(_: f64) -> Slow {
    let nobody: Arc<[u32]> = [].into();
    Slow {
        temperature_c: Some(50),
        persistence_mode: Some(true),
        mig_enabled: Some(false),
        compute_pids: Some(nobody),
        ..Slow::default()
    }
}

/// Returns three cycles of 10 s each.
fn watched(pids: &[u32]) -> Watched {
    Watched {
        whose: "this server's experiments",
        cycles: vec![
            (0, window(10.0, 20.0)),
            (1, window(20.0, 30.0)),
            (2, window(30.0, 40.0)),
        ],
        gpus: vec![WatchedGpu {
            uuid: UUID.to_owned(),
            pids: pids.to_vec(),
        }],
    }
}

fn seen(log: &TelemetryLog, watched: &Watched) -> Vec<Warning> {
    let timeline = Timeline::new(Vec::new(), 0.1);
    disturbances(
        Surroundings {
            timeline: &timeline,
            telemetry: log,
            logical_cpus: 4,
        },
        watched,
    )
}

fn only(warnings: Vec<Warning>, code: WarningCode) -> String {
    assert_eq!(
        warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(),
        [code],
        "{warnings:?}"
    );
    warnings.into_iter().next().unwrap().message
}

#[test]
fn calm_surroundings_give_no_warning() {
    assert_eq!(seen(&log(calm, cool, true), &watched(&[])), []);
}

#[test]
fn a_gpu_without_readings_gives_no_warning() {
    let silent = log(|_| Fast::default(), |_| Slow::default(), true);
    assert_eq!(seen(&silent, &watched(&[7])), []);
    assert_eq!(seen(&TelemetryLog::new(&[], 0.1, true), &watched(&[7])), []);
}

#[test]
fn lowered_clocks_give_one_warning_for_all_cycles_with_reasons_and_share() {
    let events = |at: f64| match at {
        20.0..25.0 => 0x4 | 0x1,
        35.0..36.0 => 0x40,
        _ => 0x1,
    };
    let fast = |at| Fast {
        clock_events: Some(ClockEvents::from_bits(events(at))),
        ..Fast::default()
    };
    let message = only(seen(&log(fast, cool, true), &watched(&[])), WarningCode::Throttled);
    assert_eq!(
        message,
        "GPU 3 (GPU-a): clocks were lowered (sw_power_cap) for 50 % of the window in cycle 1; less so in cycle 2"
    );
}

#[test]
fn clocks_lowered_between_the_cycles_disturb_none_of_them() {
    let before = |at: f64| Fast {
        clock_events: Some(ClockEvents::from_bits(if at < 9.0 { 0x8 } else { 0 })),
        ..Fast::default()
    };
    assert_eq!(seen(&log(before, cool, true), &watched(&[])), []);
}

#[test]
fn ten_degrees_are_no_drift_and_eleven_are() {
    let warming = |by: u32| {
        move |at: f64| Slow {
            temperature_c: Some(if at < 25.0 { 50 } else { 50 + by }),
            ..cool(at)
        }
    };
    assert_eq!(seen(&log(calm, warming(10), true), &watched(&[])), []);
    let message = only(
        seen(&log(calm, warming(11), true), &watched(&[])),
        WarningCode::TemperatureDrift,
    );
    assert_eq!(
        message,
        "GPU 3 (GPU-a): its temperature ranged from 50 to 61 °C in cycle 1"
    );
}

#[test]
fn a_process_that_is_not_ours_is_named_and_our_own_is_not() {
    let with = |pids: &'static [u32]| {
        move |at: f64| Slow {
            compute_pids: Some(pids.into()),
            ..cool(at)
        }
    };
    assert_eq!(seen(&log(calm, with(&[7]), true), &watched(&[7])), []);
    let message = only(
        seen(&log(calm, with(&[7, 4242]), true), &watched(&[7])),
        WarningCode::ForeignGpuProcess,
    );
    assert!(message.contains("1 compute process of others (pid 4242)"), "{message}");
    assert!(message.ends_with("in cycle 0; less so in cycles 1, 2"), "{message}");
}

#[test]
fn in_a_container_as_many_unknown_processes_as_we_run_are_ours() {
    let with = |pids: &'static [u32]| {
        move |at: f64| Slow {
            compute_pids: Some(pids.into()),
            ..cool(at)
        }
    };
    assert_eq!(seen(&log(calm, with(&[90_007]), false), &watched(&[7])), []);
    let two = only(
        seen(&log(calm, with(&[90_007, 90_008]), false), &watched(&[7])),
        WarningCode::ForeignGpuProcess,
    );
    assert!(
        two.contains("1 compute process of others (pids on the host, ours among them, 90007, 90008)"),
        "{two}"
    );
    let none_of_ours = only(
        seen(&log(calm, with(&[90_007]), false), &watched(&[])),
        WarningCode::ForeignGpuProcess,
    );
    assert!(none_of_ours.contains("(pid 90007)"), "{none_of_ours}");
}

#[test]
fn persistence_mode_off_is_reported_with_the_fix() {
    let off = |at| Slow {
        persistence_mode: Some(false),
        ..cool(at)
    };
    let message = only(
        seen(&log(calm, off, true), &watched(&[])),
        WarningCode::PersistenceModeOff,
    );
    assert!(message.contains("nvidia-smi -pm 1"), "{message}");
}

#[test]
fn mig_a_lost_board_and_a_refused_reading_are_one_warning() {
    let mut log = log(
        calm,
        |at| Slow {
            mig_enabled: Some(true),
            ..cool(at)
        },
        true,
    );
    let trouble = Trouble {
        lost: Some("fell off the bus".to_owned()),
        refused: vec!["compute processes"],
    };
    log.gpus[0].note(&trouble, Monotonic::from_sec(25.0));
    let message = only(seen(&log, &watched(&[])), WarningCode::GpuLimited);
    assert_eq!(
        message,
        "GPU 3 (GPU-a): it was lost by cycle 1 (fell off the bus); MIG is enabled: readings are of the whole board, \
         other slices included; this user may not read its compute processes"
    );
}

#[test]
fn a_board_lost_after_the_last_cycle_limits_nothing() {
    let mut log = log(calm, cool, true);
    let trouble = Trouble {
        lost: Some("fell off the bus".to_owned()),
        refused: Vec::new(),
    };
    log.gpus[0].note(&trouble, Monotonic::from_sec(45.0));
    assert_eq!(seen(&log, &watched(&[])), []);
}

/// Returns the warnings on a host of two CPUs where, per second, all processes use `host` and the caller's use `ours`
/// CPU seconds.
fn busy(host: f64, ours: f64) -> Vec<Warning> {
    let mut timeline = Timeline::new(Vec::new(), 0.1);
    timeline.track(7, Monotonic::from_sec(0.0), 0.0);
    for sec in 0..=50 {
        let sec = f64::from(sec);
        timeline.record_host_cpu(Monotonic::from_sec(sec), host * sec, false);
        timeline.record_process_cpu(7, Monotonic::from_sec(sec), ours * sec, false);
    }
    let telemetry = TelemetryLog::new(&[], 0.1, true);
    disturbances(
        Surroundings {
            timeline: &timeline,
            telemetry: &telemetry,
            logical_cpus: 2,
        },
        &watched(&[]),
    )
}

#[test]
fn other_programs_are_reported_when_they_are_a_real_part_of_the_load() {
    assert_eq!(busy(1.0, 0.96), [], "4 % of the busy time");
    assert_eq!(busy(0.03, 0.0), [], "all of the busy time, and 1.5 % of the host");
    let message = only(busy(1.5, 1.0), WarningCode::ForeignCpuLoad);
    assert_eq!(
        message,
        "Programs other than this server's experiments used 33 % of the busy CPU (0.50 CPUs) in cycle 0; less so in \
         cycles 1, 2: do not cite, run again"
    );
}
