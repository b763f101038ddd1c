use super::*;
use crate::estimation::timeline::Timeline;
use crate::source::{PollError, SourceDescription, SourceId, Value};
use crate::telemetry::{ClockEvents, Fast, GpuId, Slow, TelemetryLog};
use joulemark_measurement::{EnergyMethod, EnergySourceKind};

fn sec(sec: f64) -> Monotonic {
    Monotonic::from_sec(sec)
}

fn description(kind: EnergySourceKind, domain: EnergyDomain, place: Place) -> SourceDescription {
    SourceDescription {
        id: SourceId { kind, domain, place },
        method: EnergyMethod::EnergyCounter,
        refresh_sec: 0.0,
        averaging_sec: 0.0,
        relative_uncertainty: 0.0,
        wraps: None,
        note: None,
    }
}

/// Creates a GPU of 200 W and a package of 50 W, with one of two CPUs busy, over 10 s at 10 Hz.
fn host() -> (Timeline, TelemetryLog) {
    let gpu = Place::Gpu {
        index: 1,
        uuid: "GPU-a".to_owned(),
    };
    let package = Place::Zone {
        name: "package-0".to_owned(),
        path: "intel-rapl:0".to_owned(),
    };
    let sources = vec![
        description(EnergySourceKind::Nvml, EnergyDomain::Gpu, gpu),
        description(EnergySourceKind::RaplPowercap, EnergyDomain::Package, package),
    ];
    let mut timeline = Timeline::new(sources, 0.1);
    let ids = ["GPU-a", "GPU-b"].map(|uuid| GpuId {
        index: u32::from(uuid == "GPU-b"),
        uuid: uuid.to_owned(),
    });
    let mut telemetry = TelemetryLog::new(&ids, 0.1, true);
    for tick in 0..=100 {
        let at = f64::from(tick) * 0.1;
        let counter = |joules| -> Result<Value, PollError> {
            Ok(Value {
                at: sec(at),
                counter_j: Some(joules),
                power_w: None,
            })
        };
        timeline.record(0, counter(200.0 * at), false);
        timeline.record(1, counter(50.0 * at), false);
        timeline.record_host_cpu(sec(at), at, false);
        if tick % 2 == 0 {
            let clock_events = Some(ClockEvents::from_bits(0x4));
            let fast = Fast {
                sm_clock_mhz: Some(1410),
                clock_events,
                ..Fast::default()
            };
            let slow = Slow {
                temperature_c: Some(61),
                ..Slow::default()
            };
            for history in &mut telemetry.gpus {
                history.push(GpuSample {
                    at: sec(at),
                    fast: fast.clone(),
                    slow: slow.clone(),
                });
            }
        }
    }
    (timeline, telemetry)
}

fn series(uuids: &[&str]) -> Vec<DeviceSeries> {
    let (timeline, telemetry) = host();
    let surroundings = Surroundings {
        timeline: &timeline,
        telemetry: &telemetry,
        logical_cpus: 2,
    };
    let span = Span {
        start: sec(2.05),
        end: sec(5.05),
    };
    let gpus = uuids.iter().map(|uuid| of_gpu(surroundings, uuid, span));
    gpus.chain((0..2).filter_map(|source| of_zone(surroundings, source, span)))
        .collect()
}

fn near(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-3)
}

#[test]
fn a_gpu_is_no_zone_and_every_zone_is_shown() {
    let shown = series(&["GPU-a"]);
    assert_eq!(shown.len(), 2);
    assert_eq!((shown[0].gpu, shown[0].gpu_uuid.as_deref()), (Some(0), Some("GPU-a")));
    assert_eq!(
        (shown[1].zone.as_deref(), shown[1].zone_path.as_deref()),
        (Some("package-0"), Some("intel-rapl:0"))
    );
    assert_eq!(series(&[]).len(), 1);
}

#[test]
fn points_carry_power_and_what_held_at_that_moment() {
    let shown = series(&["GPU-a"]);
    assert_eq!(shown[0].points.len(), 30);
    for point in &shown[0].points {
        assert!(near(point.power_w, 200.0), "{point:?}");
        assert_eq!(
            (point.temperature_c, point.sm_clock_mhz, point.memory_clock_mhz),
            (Some(61.0), Some(1410.0), None)
        );
        assert_eq!(point.throttle_reasons, ["sw_power_cap"]);
    }
    assert!(
        shown[1]
            .points
            .iter()
            .all(|point| near(point.power_w, 50.0) && near(point.utilisation_percent, 50.0))
    );
}

#[test]
fn a_gpu_without_power_still_shows_its_clocks_and_an_unknown_one_nothing() {
    let shown = series(&["GPU-b", "GPU-unknown"]);
    assert!(shown[0].points.len() >= 14, "{}", shown[0].points.len());
    assert!(
        shown[0]
            .points
            .iter()
            .all(|point| point.power_w.is_none() && point.sm_clock_mhz == Some(1410.0))
    );
    assert_eq!((shown[1].gpu, shown[1].points.len()), (None, 0));
}
