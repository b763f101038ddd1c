//! Ticks and numbers as text.

use crate::axis::Axis;
use crate::number::{brief, measured};

/// Returns the labels of an axis.
fn labels(axis: &Axis) -> Vec<&str> {
    axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
}

#[test]
fn a_linear_axis_ends_at_round_values_around_its_range() {
    let axis = Axis::linear((12.0, 87.0), (0.0, 100.0), 5);
    assert_eq!(labels(&axis), ["0", "20", "40", "60", "80", "100"]);
    assert_eq!((axis.at(0.0), axis.at(50.0), axis.at(100.0)), (0.0, 50.0, 100.0));
    let small = Axis::linear((0.0011, 0.0019), (0.0, 1.0), 4);
    assert_eq!(
        labels(&small),
        ["0.0010", "0.0012", "0.0014", "0.0016", "0.0018", "0.0020"]
    );
    let large = Axis::linear((-2e6, 3e6), (0.0, 1.0), 5);
    assert_eq!(
        labels(&large),
        [
            "−2\u{202f}M",
            "−1\u{202f}M",
            "0",
            "1\u{202f}M",
            "2\u{202f}M",
            "3\u{202f}M"
        ]
    );
}

#[test]
fn an_axis_begins_at_zero_only_for_values_near_it() {
    assert_eq!(Axis::linear_from_zero((70.0, 630.0), (0.0, 1.0), 4).from, 0.0);
    assert_eq!(Axis::linear_from_zero((44.0, 68.0), (0.0, 1.0), 4).from, 40.0);
    assert_eq!(Axis::linear_from_zero((-630.0, -70.0), (0.0, 1.0), 4).to, 0.0);
}

#[test]
fn equal_values_have_an_axis_around_them() {
    for value in [0.0, 1980.0, -3.0, 1e-30, 1e90] {
        for axis in [
            Axis::linear((value, value), (0.0, 1.0), 4),
            Axis::linear_from_zero((value, value), (0.0, 1.0), 4),
        ] {
            assert!(
                axis.from <= value && value <= axis.to && axis.from < axis.to,
                "{value}: {axis:?}"
            );
            assert!(axis.ticks.len() >= 2, "{value}: {axis:?}");
        }
    }
}

#[test]
fn a_logarithmic_axis_has_ticks_at_powers_of_ten_or_at_one_two_and_five_or_at_round_values() {
    let place = (0.0, 1.0);
    assert_eq!(
        labels(&Axis::log((1e9, 1e15), place, 7)),
        ["1 G", "10 G", "100 G", "1 T", "10 T", "100 T", "1 P"].map(|label| label.replace(' ', "\u{202f}"))
    );
    assert_eq!(
        labels(&Axis::log((1.0, 64.0), place, 8)),
        ["1", "2", "5", "10", "20", "50"]
    );
    assert_eq!(labels(&Axis::log((0.83, 1.71), place, 6)), ["1.0", "1.2", "1.4", "1.6"]);
    let middle = Axis::log((1.0, 100.0), (0.0, 100.0), 5).at(10.0);
    assert!((middle - 50.0).abs() < 1e-9, "{middle}");
}

#[test]
fn an_axis_of_time_counts_in_seconds_then_minutes_then_hours() {
    let of = |from, to| Axis::time((from, to), (0.0, 1.0), 6).0;
    assert_eq!(labels(&of(0.0, 30.0)), ["0", "5", "10", "15", "20", "25", "30"]);
    assert_eq!(labels(&of(-0.1, 0.1)), ["−0.10", "−0.05", "0.00", "0.05", "0.10"]);
    assert_eq!(
        labels(&of(-300.0, 0.0)),
        ["−5:00", "−4:00", "−3:00", "−2:00", "−1:00", "0:00"]
    );
    assert_eq!(labels(&of(3000.0, 3002.0)), ["50:00", "50:01", "50:02"]);
    assert_eq!(
        labels(&of(0.0, 36_000.0)),
        ["0:00", "2:00", "4:00", "6:00", "8:00", "10:00"]
    );
    assert_eq!(
        labels(&of(0.0, 4.0 * 86_400.0)),
        ["0:00", "24:00", "48:00", "72:00", "96:00"]
    );
}

#[test]
fn a_value_has_the_digits_that_its_interval_allows() {
    assert_eq!(measured(12.3456, Some((12.0, 12.8))), "12.35");
    assert_eq!(measured(10_243.7, Some((10_000.0, 10_400.0))), "10,240");
    assert_eq!(measured(0.0, Some((-1.0, 1.0))), "0");
    assert_eq!(measured(2.5e6, Some((2.4e6, 2.6e6))), "2.50\u{202f}M");
    assert_eq!(measured(1.23456, None), "1.23");
    assert_eq!(measured(f64::NAN, None), "unknown");
}

#[test]
fn a_value_without_an_interval_has_three_digits_or_all_before_its_point() {
    let cases = [
        (0.012_345, "0.0123"),
        (76.74, "76.7"),
        (2614.4, "2,614"),
        (-5.0, "−5"),
        (1e-7, "1×10⁻⁷"),
        (0.5, "0.5"),
    ];
    for (value, text) in cases {
        assert_eq!(brief(value), text);
    }
}
