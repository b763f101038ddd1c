use proptest::prelude::*;

use super::*;
use crate::fixtures;
use crate::source::{CpuDevice, Finding, GpuDevice, Place, SourceDescription, SourceId, Value};
use joulemark_measurement::clock::Monotonic;

fn described(kind: EnergySourceKind, domain: EnergyDomain, place: Place) -> SourceDescription {
    SourceDescription {
        id: SourceId { kind, domain, place },
        method: EnergyMethod::EnergyCounter,
        refresh_sec: 0.001,
        averaging_sec: 0.0,
        relative_uncertainty: 0.0,
        wraps: None,
        note: None,
    }
}

fn gpu(index: u32) -> SourceDescription {
    SourceDescription {
        refresh_sec: 0.001,
        ..fixtures::gpu(index, EnergyMethod::EnergyCounter)
    }
}

fn zone(domain: EnergyDomain, name: &str) -> SourceDescription {
    let place = Place::Zone {
        name: name.to_owned(),
        path: format!("intel-rapl:{name}"),
    };
    described(EnergySourceKind::RaplPowercap, domain, place)
}

/// A host with two GPUs, one of which is forbidden.
fn devices() -> Devices {
    let gpu = |index: u32, uuid: &str| GpuDevice {
        index,
        uuid: uuid.to_owned(),
        name: None,
        compute_capability: None,
        memory_bytes: None,
        driver_version: None,
        power_limits: None,
        lockable_clocks: None,
        energy_method: None,
        live_power_w: None,
        problem: (index == 7).then(|| "no permission. Fix: ask for it".to_owned()),
    };
    let forbidden = Finding {
        source: EnergySourceKind::Nvml,
        subject: "GPU 7 (GPU-forbidden)".to_owned(),
        works: false,
        detail: "no permission".to_owned(),
        fix: Some("ask for it".to_owned()),
    };
    Devices {
        gpus: vec![gpu(0, "GPU-0"), gpu(7, "GPU-forbidden")],
        cpu: CpuDevice {
            model: None,
            logical_cpus: 2,
            energy_source: None,
            rapl_problem: None,
            cpu_time_source: None,
            live_power_w: None,
        },
        findings: vec![forbidden],
    }
}

/// Creates sources with constant power over 10 s, on a host with 4 busy CPUs. Each process has constant CPU use.
fn host(sources: Vec<(SourceDescription, f64)>, processes: &[(u32, f64)]) -> Timeline {
    let watts: Vec<f64> = sources.iter().map(|(_, watts)| *watts).collect();
    let mut timeline = Timeline::new(sources.into_iter().map(|(description, _)| description).collect(), 0.1);
    for (pid, _) in processes {
        timeline.track(*pid, Monotonic(0), 0.0);
    }
    for step in 0..=100u32 {
        let at_sec = f64::from(step) * 0.1;
        let at = Monotonic::from_sec(at_sec);
        for (source, watts) in watts.iter().enumerate() {
            timeline.record(
                source,
                Ok(Value {
                    at,
                    counter_j: Some(at_sec * watts),
                    power_w: None,
                }),
                false,
            );
        }
        timeline.record_host_cpu(at, at_sec * 4.0, false);
        for (pid, cpus) in processes {
            timeline.record_process_cpu(*pid, at, at_sec * cpus, false);
        }
    }
    timeline
}

fn two_gpus_and_a_cpu(processes: &[(u32, f64)]) -> Timeline {
    let sources = vec![
        (gpu(0), 300.0),
        (gpu(1), 200.0),
        (zone(EnergyDomain::Package, "package-0"), 80.0),
        (zone(EnergyDomain::Package, "package-1"), 40.0),
        (zone(EnergyDomain::Dram, "dram"), 20.0),
        (zone(EnergyDomain::Psys, "psys"), 200.0),
    ];
    host(sources, processes)
}

const WINDOW: Window = Window {
    start_monotonic_sec: 2.0,
    end_monotonic_sec: 7.0,
};

fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-6)
}

#[test]
fn an_experiment_gets_its_own_gpus_and_its_share_of_the_host() {
    let timeline = two_gpus_and_a_cpu(&[(1, 1.0), (2, 2.0)]);
    let metrics = account(&timeline, &devices(), &WINDOW, &["GPU-1".to_owned()], &[1]);
    assert!(close(metrics.gpu_energy_j, 1000.0));
    assert!(close(metrics.host_cpu_energy_j, 600.0));
    assert!(close(metrics.host_dram_energy_j, 100.0));
    assert!(close(metrics.cpu_time_share, 0.25));
    assert!(close(metrics.cpu_energy_j, 150.0));
    assert!(close(metrics.dram_energy_j, 25.0));
    assert!(close(metrics.total_energy_j, 1175.0));
    assert!(close(metrics.gpu_power_w, 200.0));
    assert!(close(metrics.cpu_power_w, 30.0));
    assert!(close(metrics.duration_sec, 5.0));
    assert_eq!(metrics.sources.len(), 5, "one GPU and every host source");
}

#[test]
fn without_a_gpu_its_energy_is_none() {
    let metrics = account(&two_gpus_and_a_cpu(&[(1, 1.0)]), &devices(), &WINDOW, &[], &[1]);
    assert_eq!((metrics.gpu_energy_j, metrics.gpu_power_w), (None, None));
    assert!(close(metrics.total_energy_j, 175.0));
}

#[test]
fn an_untracked_process_has_an_unknown_share_and_not_0() {
    let metrics = account(&two_gpus_and_a_cpu(&[(1, 1.0)]), &devices(), &WINDOW, &[], &[1, 99]);
    assert_eq!(
        (metrics.cpu_time_share, metrics.cpu_energy_j, metrics.total_energy_j),
        (None, None, None)
    );
    assert!(close(metrics.host_cpu_energy_j, 600.0));
}

#[test]
fn an_unread_gpu_makes_the_sum_unknown_and_is_listed() {
    let wanted = ["GPU-0".to_owned(), "GPU-9".to_owned()];
    let metrics = account(&two_gpus_and_a_cpu(&[(1, 1.0)]), &devices(), &WINDOW, &wanted, &[1]);
    assert_eq!((metrics.gpu_energy_j, metrics.total_energy_j), (None, None));
    let missing = metrics
        .sources
        .iter()
        .find(|reading| reading.gpu_uuid.as_deref() == Some("GPU-9"));
    assert!(missing.is_some_and(|reading| reading.note.is_some()));
}

#[test]
fn a_package_without_data_makes_the_host_unknown_not_smaller() {
    let mut sources = vec![(zone(EnergyDomain::Package, "package-0"), 80.0)];
    sources.push((zone(EnergyDomain::Package, "package-1"), f64::NAN));
    let mut timeline = Timeline::new(
        sources.iter().map(|(description, _)| description.clone()).collect(),
        0.1,
    );
    for at in [0.0, 10.0] {
        let value = Value {
            at: Monotonic::from_sec(at),
            counter_j: Some(at * 80.0),
            power_w: None,
        };
        timeline.record(0, Ok(value), false);
    }
    assert_eq!(account_host(&timeline, &WINDOW).host_cpu_energy_j, None);
}

#[test]
fn a_device_whose_counter_stands_still_is_unknown_and_one_that_moves_is_not() {
    let sources = vec![
        (zone(EnergyDomain::Package, "package-0"), 0.0),
        (zone(EnergyDomain::Package, "package-1"), 80.0),
        (zone(EnergyDomain::Uncore, "uncore"), 0.0),
    ];
    let metrics = account_host(&host(sources, &[]), &WINDOW);
    let is_noted = |reading: &SourceReading| reading.note.as_deref().is_some_and(|note| note.contains("stood still"));
    assert_eq!(
        metrics.sources.iter().map(is_noted).collect::<Vec<_>>(),
        [true, false, true]
    );
    let known = |reading: &SourceReading| reading.energy_j.is_some();
    assert_eq!(
        metrics.sources.iter().map(known).collect::<Vec<_>>(),
        [false, true, false]
    );
    assert_eq!(metrics.host_cpu_energy_j, None, "a part is not the whole");
}

#[test]
fn a_package_that_stands_still_for_a_third_of_a_second_voids_its_energy_and_the_total() {
    let sources = vec![(gpu(0), 300.0), (zone(EnergyDomain::Package, "package-0"), 0.0)];
    let window = Window {
        start_monotonic_sec: 2.0,
        end_monotonic_sec: 2.3,
    };
    let metrics = account_host(&host(sources, &[]), &window);
    assert_eq!((metrics.host_cpu_energy_j, metrics.total_energy_j), (None, None));
    assert!(close(metrics.gpu_energy_j, 90.0), "what is known stays known");
}

#[test]
fn the_host_s_own_account_counts_nothing_twice() {
    let metrics = account_host(&two_gpus_and_a_cpu(&[]), &WINDOW);
    assert!(close(metrics.gpu_energy_j, 2500.0));
    assert!(close(metrics.cpu_energy_j, 600.0));
    assert!(close(metrics.total_energy_j, 2500.0 + 600.0 + 100.0));
    assert_eq!(metrics.cpu_time_share, None);
}

#[test]
fn energy_that_no_tracked_process_used_is_other_energy() {
    let timeline = two_gpus_and_a_cpu(&[(1, 1.0), (2, 2.0)]);
    // One of 4 busy CPUs belongs to no tracked process: a quarter of 600 J.
    assert!(close(account_host(&timeline, &WINDOW).host_other_energy_j, 150.0));
    assert!(close(
        account(&timeline, &devices(), &WINDOW, &[], &[1]).host_other_energy_j,
        150.0
    ));
    assert!(close(
        account_host(&two_gpus_and_a_cpu(&[]), &WINDOW).host_other_energy_j,
        600.0
    ));
}

#[test]
fn an_experiment_that_starts_within_the_window_is_not_other_energy() {
    let mut timeline = two_gpus_and_a_cpu(&[(1, 1.0)]);
    timeline.track(2, Monotonic::from_sec(4.5), 0.0);
    timeline.record_process_cpu(2, Monotonic::from_sec(10.0), 3.0 * 5.5, false);
    // Process 1 uses 5 CPU seconds and process 2 7.5, of 20 that the host was busy for.
    assert!(close(
        account_host(&timeline, &WINDOW).host_other_energy_j,
        600.0 * 0.375
    ));
    let late = Window {
        start_monotonic_sec: 1.0,
        end_monotonic_sec: 4.0,
    };
    assert!(
        close(account_host(&timeline, &late).host_other_energy_j, 360.0 * 0.75),
        "it was not there yet"
    );
}

proptest! {
    #[test]
    fn the_shares_of_all_experiments_never_exceed_the_host_s_energy(
        cpus in prop::collection::vec(0.0f64..3.0, 1..6), start in 0.0f64..5.0, length in 0.2f64..4.9,
    ) {
        let processes: Vec<(u32, f64)> = (1u32..).zip(cpus).collect();
        let timeline = two_gpus_and_a_cpu(&processes);
        let window = Window { start_monotonic_sec: start, end_monotonic_sec: start + length };
        let parts: Vec<EnergyMetrics> =
            processes.iter().map(|(pid, _)| account(&timeline, &devices(), &window, &[], &[*pid])).collect();
        let given: f64 = parts.iter().filter_map(|part| part.cpu_energy_j).sum();
        let host = parts[0].host_cpu_energy_j.expect("packages are read");
        prop_assert!(given <= host * (1.0 + 1e-9));
        prop_assert!(parts.iter().all(|part| part.cpu_energy_j.is_some_and(|energy| energy >= 0.0)));
        let pids: Vec<u32> = processes.iter().map(|(pid, _)| *pid).collect();
        let together = account(&timeline, &devices(), &window, &[], &pids).cpu_energy_j.expect("known");
        prop_assert!((together - given).abs() <= 1e-6 * (1.0 + host));
        let other = account_host(&timeline, &window).host_other_energy_j.expect("known");
        prop_assert!(other >= 0.0);
        prop_assert!((given + other - host).abs() <= 1e-6 * (1.0 + host), "{} {} {}", given, other, host);
    }
}

#[test]
fn a_gpu_that_may_not_be_read_keeps_its_index_and_the_reason() {
    let wanted = ["GPU-forbidden".to_owned()];
    let metrics = account(&two_gpus_and_a_cpu(&[]), &devices(), &WINDOW, &wanted, &[]);
    let reading = metrics
        .sources
        .iter()
        .find(|reading| reading.domain == EnergyDomain::Gpu);
    let reading = reading.expect("it is listed");
    assert_eq!(
        (reading.gpu, reading.energy_j, metrics.total_energy_j),
        (Some(7), None, None)
    );
    assert_eq!(
        reading.note.as_deref(),
        Some("no source of this host reads this GPU: no permission. Fix: ask for it")
    );
}
