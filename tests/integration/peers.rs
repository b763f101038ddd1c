//! Faults that were measured in other tools, each on a load of known truth: ours must not have them. Those of RAPL stand
//! with RAPL's own tests.

use std::time::Duration;

use joulemark_measurement::EnergyMethod;

use crate::nvml::{MockNvml, measure, meter, truth, uuid};

const AT_100_MS: Duration = Duration::from_millis(100);

/// CodeCarbon was 17 % short, Zeus 5 to 12 %.
#[test]
fn without_an_energy_counter_step_and_sine_are_right_to_a_hundredth() {
    let shapes = ["square:100:300:1.3", "sine:200:90:2.1"];
    let mock = MockNvml::new(&format!("devices=2\nno_counter=1\nshape={}", shapes.join(",")));
    let meter = meter(&mock, AT_100_MS);
    let (window, metrics) = measure(&meter, Duration::from_secs(5), &[uuid(0), uuid(1)]);
    for (reading, shape) in metrics.sources.iter().zip(shapes) {
        assert_eq!(reading.method, EnergyMethod::PowerIntegration);
        let expected = truth(shape, &window);
        let energy = reading.energy_j.expect("energy");
        assert!(
            (energy - expected).abs() <= 0.01 * expected,
            "{energy} for {expected}, {shape}"
        );
    }
}

/// Zeus's power monitor keeps only samples that differ from the one before, and gives 0 J.
#[test]
fn perfectly_constant_power_is_not_nothing() {
    let mock = MockNvml::new("no_counter=1\nshape=constant:250\nrefresh_ms=100");
    let meter = meter(&mock, AT_100_MS);
    let (window, metrics) = measure(&meter, Duration::from_millis(1200), &[uuid(0)]);
    let expected = 250.0 * window.duration_sec();
    let energy = metrics.gpu_energy_j.expect("energy");
    assert!((energy - expected).abs() < 0.01 * expected, "{energy} for {expected}");
}

/// CodeCarbon and Zeus are within 0.01 % of a counter over 20 s: a fifth of the time, five times the edges' part.
#[test]
fn a_square_wave_by_the_counter_is_right_to_a_twentieth_of_a_percent() {
    let mock = MockNvml::new("shape=square:100:300:1");
    let meter = meter(&mock, AT_100_MS);
    std::thread::sleep(Duration::from_millis(500));
    let (window, metrics) = measure(&meter, Duration::from_secs(4), &[uuid(0)]);
    let expected = truth("square:100:300:1", &window);
    let energy = metrics.gpu_energy_j.expect("energy");
    assert!(
        (energy - expected).abs() <= 0.0005 * expected,
        "{energy} for {expected}"
    );
}

#[test]
fn a_load_that_began_before_the_first_window_is_in_it_from_its_first_moment() {
    let mock = MockNvml::new("shape=constant:300");
    let meter = meter(&mock, AT_100_MS);
    let (window, metrics) = measure(&meter, Duration::from_millis(250), &[uuid(0)]);
    let energy = metrics.gpu_energy_j.expect("energy");
    assert!((energy - 300.0 * window.duration_sec()).abs() < 0.5, "{energy}");
}
