//! The stated uncertainty is held to what it says: over many simulated windows of all shapes, lengths, refresh periods
//! and phases, through the meter's own arithmetic.

use std::time::Duration;

use crate::shape::Shape;
use crate::simulation::{Chance, Course, Kind, SHAPES, any_sensor, honesty, meter, windows};

#[test]
fn stated_intervals_hold_the_truth_in_at_least_95_of_100_windows() {
    for kind in Kind::ALL {
        let windows = windows(kind, 6000, &mut Chance::new(7));
        let honesty = honesty(&windows);
        assert!(honesty.coverage >= 0.95, "{}: {}", kind.name(), honesty.coverage);
    }
}

#[test]
fn counters_do_not_buy_it_with_wide_intervals() {
    for kind in [Kind::GpuCounter, Kind::RaplCounter] {
        let honesty = honesty(&windows(kind, 6000, &mut Chance::new(3)));
        let ratio = honesty.median_half_width_j / honesty.median_error_j;
        // 2.9 to 3.05 by seed.
        assert!(ratio <= 3.1, "{}: {ratio}", kind.name());
    }
}

#[test]
fn polled_power_is_stated_about_as_wide_as_it_is_off() {
    // 4.1 to 4.4 and 4.9 to 5.6 by seed; who knows the whole load and not when the sensor looks is at about 3.0 and 2.5
    // (the bench's oracle).
    for (kind, most) in [(Kind::InstantPower, 5.0), (Kind::AveragedPower, 6.0)] {
        let honesty = honesty(&windows(kind, 2000, &mut Chance::new(3)));
        let ratio = honesty.median_half_width_j / honesty.median_error_j;
        assert!(ratio <= most, "{}: {ratio}", kind.name());
    }
}

#[test]
fn a_counter_is_right_to_a_thousandth_and_a_refresh_of_edge_power_from_a_second_up() {
    let mut chance = Chance::new(5);
    for kind in [Kind::GpuCounter, Kind::RaplCounter] {
        for shape in SHAPES {
            for length_sec in [1.0, 5.0, 20.0] {
                for _ in 0..20 {
                    let sensor = any_sensor(kind, shape, &mut chance);
                    let metered = meter(
                        &sensor,
                        Course::any(length_sec, &mut chance),
                        Duration::from_millis(100),
                        &mut chance,
                    );
                    let allowed = 0.001 * metered.truth_j + sensor.refresh_sec * metered.edge_w;
                    assert!(
                        metered.error_j() <= allowed,
                        "{} > {allowed}: {sensor:?}",
                        metered.error_j()
                    );
                }
            }
        }
    }
}

#[test]
fn the_truth_itself_is_the_integral_of_its_power() {
    for text in [
        "constant:200",
        "square:100:300:0.7",
        "sine:200:150:1.3",
        "ramp:50:350:0.9",
        "burst:80:400:0.3:0.02",
    ] {
        let shape = Shape::parse(text).expect("a shape");
        let (start, end, steps) = (0.3, 5.1, 480_000);
        let dt = (end - start) / f64::from(steps);
        let middle = |step| start + (f64::from(step) + 0.5) * dt;
        let sum: f64 = (0..steps).map(|step| shape.power_w(middle(step)) * dt).sum();
        let exact = shape.energy_j(end) - shape.energy_j(start);
        assert!((sum - exact).abs() < 0.01, "{text}: {sum} {exact}");
    }
    assert_eq!(Shape::parse("step:100:300"), None);
    assert_eq!(Shape::parse("bursts"), None);
}
