use proptest::prelude::*;

use super::*;
use crate::aggregate::aggregate;
use crate::fixtures::{energy, gpu_source, host_cycle, package_source, rank_cycle, window};
use joulemark_measurement::SourceReading;

fn idle(kind: BaselineKind, powers: &[(SourceReading, f64)]) -> IdleState {
    let powers = powers.iter().map(|(source, watts)| IdlePower {
        window: window(-20.0, -10.0),
        reading: SourceReading {
            mean_power_w: Some(*watts),
            ..source.clone()
        },
    });
    IdleState {
        kind,
        powers: powers.collect(),
        why_missing: "the host was busy".to_owned(),
    }
}

/// Creates two cycles of 10 s, each with 1000 J of one GPU and 400 J of one package.
fn measured() -> (Vec<RankCycle>, Vec<CycleHost>) {
    let mut cycles = vec![rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 20.0, 30.0)];
    for cycle in &mut cycles {
        cycle.energy = energy(Some(1000.0), Some(200.0), None);
        cycle.energy.sources = vec![gpu_source("GPU-a", 1000.0)];
        cycle.gpus = vec!["GPU-a".to_owned()];
    }
    (cycles, vec![host_cycle(0, 400.0, 0.0), host_cycle(1, 400.0, 0.0)])
}

fn attached(cycles: &[RankCycle], hosts: &[CycleHost], idle: &[IdleState]) -> Aggregate {
    let mut aggregate = aggregate(cycles, hosts);
    attach(&mut aggregate, cycles, hosts, idle);
    aggregate
}

#[test]
fn idle_power_and_the_energy_above_it_stand_beside_the_total() {
    let (cycles, hosts) = measured();
    let state = idle(
        BaselineKind::Bare,
        &[(gpu_source("GPU-a", 0.0), 60.0), (package_source(0.0), 15.0)],
    );
    let with = attached(&cycles, &hosts, &[state]);
    let baseline = &with.energy.baselines[0];
    assert_eq!(baseline.baseline_power_w, Some(75.0));
    assert_eq!(
        (baseline.gpu_power_w, baseline.host_cpu_power_w),
        (Some(60.0), Some(15.0))
    );
    assert_eq!(baseline.marginal_energy_j, Some(2.0 * (1000.0 + 400.0) - 75.0 * 20.0));
    assert_eq!((baseline.window_sec, baseline.age_sec), (Some(10.0), Some(10.0)));
    assert_eq!(baseline.note, None);
    assert_eq!(
        with.energy.total_energy_j,
        aggregate(&cycles, &hosts).energy.total_energy_j,
        "never subtracted"
    );
    let second = &with.cycles[1].energy.baselines[0];
    assert_eq!(
        (second.marginal_energy_j, second.age_sec),
        (Some(1400.0 - 750.0), Some(30.0))
    );
}

#[test]
fn each_gpu_is_held_against_the_windows_of_the_rank_that_owns_it() {
    let mut cycles = vec![rank_cycle(0, 0, 0.0, 10.0), rank_cycle(1, 0, 0.0, 4.0)];
    for (cycle, (uuid, joules)) in cycles.iter_mut().zip([("GPU-a", 1000.0), ("GPU-b", 300.0)]) {
        cycle.energy.sources = vec![gpu_source(uuid, joules)];
    }
    let powers = [("GPU-a", 60.0), ("GPU-b", 50.0)].map(|(uuid, watts)| (gpu_source(uuid, 0.0), watts));
    let state = idle(
        BaselineKind::Loaded,
        &[&powers[..], &[(package_source(0.0), 15.0)]].concat(),
    );
    let with = attached(&cycles, &[host_cycle(0, 400.0, 0.0)], &[state]);
    let expected = (1000.0 - 600.0) + (300.0 - 200.0) + (400.0 - 150.0);
    assert_eq!(with.energy.baselines[0].marginal_energy_j, Some(expected));
}

#[test]
fn a_source_without_idle_power_makes_the_baseline_unknown_and_is_named() {
    let (cycles, hosts) = measured();
    let with = attached(
        &cycles,
        &hosts,
        &[idle(BaselineKind::Bare, &[(package_source(0.0), 15.0)])],
    );
    let baseline = &with.energy.baselines[0];
    assert_eq!(
        (baseline.baseline_power_w, baseline.marginal_energy_j, baseline.age_sec),
        (None, None, None)
    );
    assert_eq!(
        baseline.note.as_deref(),
        Some("no idle power of GPU-a: the host was busy")
    );
    assert_eq!(
        with.energy.host_idle_energy_j,
        Some(300.0),
        "the package's is known all the same"
    );
}

#[test]
fn an_energy_that_is_not_known_has_no_margin_but_the_idle_power_stands() {
    let (mut cycles, hosts) = measured();
    let source = &mut cycles[1].energy.sources[0];
    (source.energy_j, source.counted_in_total) = (None, false);
    let state = idle(
        BaselineKind::Bare,
        &[(gpu_source("GPU-a", 0.0), 60.0), (package_source(0.0), 15.0)],
    );
    let with = attached(&cycles, &hosts, &[state]);
    let baseline = &with.energy.baselines[0];
    assert_eq!(
        (baseline.baseline_power_w, baseline.marginal_energy_j),
        (Some(75.0), None)
    );
    assert!(
        baseline
            .note
            .as_ref()
            .is_some_and(|note| note.contains("GPU-a is unknown"))
    );
}

#[test]
fn an_estimate_is_called_one() {
    let (cycles, mut hosts) = measured();
    let estimated = SourceReading {
        method: EnergyMethod::Estimate,
        ..package_source(400.0)
    };
    for host in &mut hosts {
        host.energy.sources = vec![estimated.clone()];
    }
    let state = idle(
        BaselineKind::Bare,
        &[(gpu_source("GPU-a", 0.0), 60.0), (estimated, 15.0)],
    );
    let with = attached(&cycles, &hosts, &[state]);
    assert!(
        with.energy.baselines[0]
            .note
            .as_ref()
            .is_some_and(|note| note.contains("estimate"))
    );
}

#[test]
fn without_a_bare_baseline_the_idle_energy_is_null_and_not_zero() {
    let (cycles, hosts) = measured();
    let loaded = idle(BaselineKind::Loaded, &[(package_source(0.0), 15.0)]);
    assert_eq!(attached(&cycles, &hosts, &[loaded]).energy.host_idle_energy_j, None);
    assert_eq!(attached(&cycles, &hosts, &[]).energy.baselines, []);
}

proptest! {
    #[test]
    fn the_idle_part_never_exceeds_the_hosts_energy(
        parts in prop::collection::vec(0.0f64..2000.0, 1..5), watts in 0.0f64..300.0,
    ) {
        let cycles: Vec<RankCycle> =
            (0u32..).zip(&parts).map(|(cycle, _)| rank_cycle(0, cycle, 10.0 * f64::from(cycle), 10.0 * f64::from(cycle) + 10.0)).collect();
        let hosts: Vec<CycleHost> = (0u32..).zip(&parts).map(|(cycle, joules)| host_cycle(cycle, *joules, 0.0)).collect();
        let with = attached(&cycles, &hosts, &[idle(BaselineKind::Bare, &[(package_source(0.0), watts)])]);
        let (part, all) = (with.energy.host_idle_energy_j.unwrap(), with.energy.host_cpu_energy_j.unwrap());
        prop_assert!(0.0 <= part && part <= all + 1e-9);
        for cycle in &with.cycles {
            prop_assert!(cycle.energy.host_idle_energy_j.unwrap() <= cycle.energy.host_cpu_energy_j.unwrap() + 1e-9);
        }
    }
}
