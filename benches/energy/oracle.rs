//! What no honest interval of polled power can beat: one that knows the load.

use joulemark_testkit::simulation::{Case, Chance, Honesty, Kind, Metered, Sensor, cases, median};

/// An interval that knows the load to the last watt and where the window lies in it: of each window the 95th percentile
/// of its errors where only the sensor's phase, its noise and the meter's lateness are drawn anew.
pub fn oracle(kind: Kind, count: u32, times: usize, chance: &mut Chance) -> Honesty {
    let cases = cases(kind, count, chance);
    let windows: Vec<Metered> = cases.iter().map(|case| case.meter(chance)).collect();
    let half_widths_j: Vec<f64> = cases.iter().map(|case| percentile_95_j(case, times, chance)).collect();
    let both = windows.iter().zip(&half_widths_j);
    let covered = both.filter(|(window, half_j)| window.error_j() <= **half_j).count();
    Honesty {
        coverage: covered as f64 / windows.len() as f64,
        median_half_width_j: median(half_widths_j.into_iter()),
        median_error_j: median(windows.iter().map(Metered::error_j)),
    }
}

fn percentile_95_j(case: &Case, times: usize, chance: &mut Chance) -> f64 {
    let again = |_| {
        let sensor = Sensor {
            phase_sec: chance.between(0.0, 0.1),
            ..case.sensor
        };
        Case { sensor, ..*case }.meter(chance).error_j()
    };
    let mut errors: Vec<f64> = (0..times).map(again).collect();
    errors.sort_by(f64::total_cmp);
    errors[times * 95 / 100]
}
