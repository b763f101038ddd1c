use super::*;
use crate::fixtures;
use crate::source::{PollError, SourceId, Value};
use joulemark_measurement::EnergySourceKind;
use joulemark_measurement::clock::Monotonic;

fn zone(domain: EnergyDomain, name: &str) -> SourceDescription {
    SourceDescription {
        id: SourceId {
            kind: EnergySourceKind::RaplPowercap,
            domain,
            place: Place::Zone {
                name: name.to_owned(),
                path: format!("intel-rapl:{name}"),
            },
        },
        method: EnergyMethod::EnergyCounter,
        refresh_sec: 0.001,
        averaging_sec: 0.0,
        relative_uncertainty: 0.0,
        wraps: None,
        note: None,
    }
}

fn gpu(method: EnergyMethod) -> SourceDescription {
    fixtures::gpu(0, method)
}

/// Fills 10 s at 100 ms with a counter of `counter_w` and polled power of `polled_w`.
fn filled(descriptions: Vec<SourceDescription>, counter_w: f64, polled_w: f64) -> Timeline {
    let count = descriptions.len();
    let mut timeline = Timeline::new(descriptions, 0.1);
    for step in 0..=100u32 {
        let at_sec = f64::from(step) * 0.1;
        for source in 0..count {
            let value = Value {
                at: Monotonic::from_sec(at_sec),
                counter_j: Some(at_sec * counter_w),
                power_w: Some(polled_w),
            };
            timeline.record(source, Ok(value), false);
        }
    }
    timeline
}

fn window(start: f64, end: f64) -> Window {
    Window {
        start_monotonic_sec: start,
        end_monotonic_sec: end,
    }
}

#[test]
fn psys_contains_package_contains_core_and_only_package_and_dram_are_counted() {
    use EnergyDomain::{Core, Dram, Package, Psys, Uncore};
    let domains = [
        (Psys, "psys"),
        (Package, "package-0"),
        (Core, "core"),
        (Uncore, "uncore"),
        (Dram, "dram"),
    ];
    let timeline = filled(domains.map(|(domain, name)| zone(domain, name)).to_vec(), 50.0, 50.0);
    let readings = readings(&timeline, &window(1.0, 9.0));
    let counted: Vec<bool> = readings.iter().map(|reading| reading.counted_in_total).collect();
    assert_eq!(counted, [false, true, false, false, true]);
    assert!(
        readings
            .iter()
            .all(|reading| (reading.energy_j.expect("energy") - 400.0).abs() < 1e-6)
    );
}

#[test]
fn a_die_inside_a_package_that_is_read_as_a_whole_is_not_counted_again() {
    let whole_and_die = vec![
        zone(EnergyDomain::Package, "package-0"),
        zone(EnergyDomain::Package, "package-0-die-1"),
    ];
    let only_dies = vec![
        zone(EnergyDomain::Package, "package-1-die-0"),
        zone(EnergyDomain::Package, "package-1-die-1"),
    ];
    let counted = |descriptions| -> Vec<bool> {
        let timeline = filled(descriptions, 50.0, 50.0);
        readings(&timeline, &window(1.0, 9.0))
            .iter()
            .map(|reading| reading.counted_in_total)
            .collect()
    };
    assert_eq!(counted(whole_and_die), [true, false]);
    assert_eq!(counted(only_dies), [true, true]);
}

#[test]
fn psys_without_a_package_is_noted_and_not_counted() {
    let timeline = filled(vec![zone(EnergyDomain::Psys, "psys")], 50.0, 50.0);
    let reading = readings(&timeline, &window(1.0, 9.0)).remove(0);
    assert!(!reading.counted_in_total);
    assert!(reading.note.expect("a note").contains("no package counter"));
}

#[test]
fn a_window_without_data_is_none_with_a_reason_and_never_zero() {
    let mut timeline = Timeline::new(vec![gpu(EnergyMethod::EnergyCounter)], 0.1);
    timeline.record(
        0,
        Err(PollError::Gone("NVML: device fell off the bus".to_owned())),
        false,
    );
    let reading = readings(&timeline, &window(1.0, 2.0)).remove(0);
    assert_eq!(
        (reading.energy_j, reading.mean_power_w, reading.uncertainty_j),
        (None, None, None)
    );
    assert!(!reading.counted_in_total);
    assert!(reading.note.expect("a note").contains("fell off the bus"));
}

#[test]
fn a_counter_over_a_long_window_is_known_with_high_confidence() {
    let timeline = filled(vec![gpu(EnergyMethod::EnergyCounter)], 300.0, 300.0);
    let long = readings(&timeline, &window(1.0, 9.0)).remove(0);
    assert_eq!(long.confidence, Confidence::High);
    let uncertainty_j = long.uncertainty_j.expect("known");
    assert!(
        (uncertainty_j - (30.0 - (0.2 * 15.0 * 15.0f64).sqrt())).abs() < 0.1,
        "at either edge half a refresh of 100 ms at 300 W, the 95 % point of their sum: {uncertainty_j}"
    );
    assert_eq!((long.instrument_accuracy_percent, long.refresh_ms), (Some(5.0), None));
    assert_eq!(long.sample_count, 81);
    let short = readings(&timeline, &window(1.0, 1.2)).remove(0);
    assert_eq!(short.confidence, Confidence::Low);
    assert!(short.note.expect("a note").contains("it spans 2.0 refreshes of 100 ms"));
}

#[test]
fn polled_power_is_never_more_than_medium() {
    let timeline = filled(vec![gpu(EnergyMethod::PowerIntegration)], 0.0, 250.0);
    let reading = readings(&timeline, &window(1.05, 8.85)).remove(0);
    assert_eq!(reading.confidence, Confidence::Medium);
    assert!((reading.energy_j.expect("energy") - 1950.0).abs() < 1e-6);
}

#[test]
fn a_counter_that_polled_power_contradicts_is_reported() {
    let timeline = filled(vec![gpu(EnergyMethod::EnergyCounter)], 100.0, 200.0);
    let reading = readings(&timeline, &window(1.0, 9.0)).remove(0);
    assert!(reading.note.expect("a note").contains("one of them is wrong"));
    let timeline = filled(vec![gpu(EnergyMethod::EnergyCounter)], 100.0, 105.0);
    assert_eq!(readings(&timeline, &window(1.0, 9.0)).remove(0).note, None);
}

#[test]
fn an_estimate_stays_low_and_keeps_its_assumptions() {
    let estimate = SourceDescription {
        method: EnergyMethod::Estimate,
        relative_uncertainty: 0.7,
        note: Some("estimate: 3.5 W".to_owned()),
        ..zone(EnergyDomain::Package, "")
    };
    let reading = readings(&filled(vec![estimate], 10.0, 10.0), &window(0.0, 10.0)).remove(0);
    assert_eq!(reading.confidence, Confidence::Low);
    assert!((reading.uncertainty_j.expect("known") - 70.0).abs() < 1e-6);
    assert_eq!(reading.note.as_deref(), Some("estimate: 3.5 W"));
    assert!(reading.counted_in_total);
}
