use super::*;
use crate::fixtures::{energy, gpu_source, package_source, window};

/// Creates intervals of `length` seconds with equal gaps, each with 100 J of a GPU and 10 J of the CPU.
fn rank(stretches: u32, length: f64, samples: u32) -> RankPhase {
    let windows: Vec<Window> = (0..stretches)
        .map(|number| 2.0 * length * f64::from(number))
        .map(|start| window(start, start + length))
        .collect();
    let reading = |window: &Window| {
        let mut metrics = energy(Some(100.0), Some(10.0), None);
        let gpu = SourceReading {
            sample_count: samples,
            uncertainty_j: Some(2.0),
            ..gpu_source("GPU-a", 100.0)
        };
        let package = SourceReading {
            sample_count: samples,
            ..package_source(40.0)
        };
        metrics.sources = vec![gpu, package];
        (*window, metrics)
    };
    RankPhase {
        readings: windows.iter().map(reading).collect(),
        windows,
    }
}

#[test]
fn stretches_of_all_ranks_add_up() {
    let phase = phase_energy(Phase::Decode, &[rank(3, 1.0, 11), rank(3, 1.0, 11)]);
    assert_eq!(
        (phase.total_energy_j, phase.gpu_energy_j, phase.cpu_energy_j),
        (Some(660.0), Some(600.0), Some(60.0))
    );
    assert_eq!(phase.duration_sec, 3.0, "both ranks at the same time");
    assert_eq!((phase.confidence, phase.note), (Some(Confidence::High), None));
}

#[test]
fn stretches_with_less_than_two_samples_are_null_and_say_so() {
    let phase = phase_energy(Phase::Prefill, &[rank(20, 0.05, 1)]);
    assert_eq!(
        (phase.total_energy_j, phase.gpu_energy_j, phase.cpu_energy_j),
        (None, None, None)
    );
    assert!((phase.duration_sec - 1.0).abs() < 1e-9);
    assert_eq!(phase.confidence, Some(Confidence::Low));
    assert!(
        phase
            .note
            .expect("a note")
            .contains("20 intervals last 50.0 ms on average and 20 of them hold fewer than 2 samples of GPU-a")
    );
}

#[test]
fn stretches_shorter_than_three_refreshes_are_null() {
    let mut short = rank(5, 0.25, 30);
    for (_, energy) in &mut short.readings {
        energy.sources[0].refresh_ms = Some(100.0);
    }
    let phase = phase_energy(Phase::Prefill, &[short.clone()]);
    assert!(phase.total_energy_j.is_none() && phase.note.expect("a note").contains("refresh periods of GPU-a"));
    for (_, energy) in &mut short.readings {
        energy.sources[0].refresh_ms = Some(80.0);
    }
    assert_eq!(phase_energy(Phase::Prefill, &[short]).total_energy_j, Some(550.0));
}

#[test]
fn many_stretches_read_in_part_are_scaled_by_time_and_said() {
    let mut many = rank(10, 1.0, 11);
    many.readings = many.readings.into_iter().step_by(2).collect();
    let phase = phase_energy(Phase::Decode, &[many]);
    assert_eq!(phase.total_energy_j, Some(1100.0));
    assert_eq!(phase.confidence, Some(Confidence::Medium));
    assert!(phase.note.expect("a note").contains("5 of 10 intervals"));
}

#[test]
fn one_unknown_stretch_makes_the_phase_unknown() {
    let mut broken = rank(3, 1.0, 11);
    broken.readings[1].1.total_energy_j = None;
    let phase = phase_energy(Phase::Decode, &[rank(3, 1.0, 11), broken]);
    assert!(phase.total_energy_j.is_none() && phase.note.is_some());
}

#[test]
fn no_warm_up_is_a_phase_without_time() {
    let phase = phase_energy(Phase::WarmUp, &[RankPhase::default()]);
    assert_eq!(
        (phase.duration_sec, phase.total_energy_j, phase.confidence),
        (0.0, None, None)
    );
    assert!(phase.note.is_some());
}

#[test]
fn an_estimated_source_keeps_confidence_low() {
    let mut estimated = rank(3, 1.0, 11);
    for (_, energy) in &mut estimated.readings {
        energy.sources[1].method = EnergyMethod::Estimate;
    }
    assert_eq!(
        phase_energy(Phase::Decode, &[estimated]).confidence,
        Some(Confidence::Low)
    );
}
