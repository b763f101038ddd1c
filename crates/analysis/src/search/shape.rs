use joulemark_experiment::sweep::{FigureOverRepeats, ResponseShape};

/// Half-width of a figure without an interval, as a share of the figure. It is half of a comparison's margin.
const ALIKE: f64 = 0.01;

/// Returns the shape of a series of figures. A change within the intervals is not a turn; a figure without an interval
/// is taken as known to 1 %.
pub fn shape(figures: impl Iterator<Item = FigureOverRepeats>) -> ResponseShape {
    let ends: Vec<(f64, f64)> = figures
        .map(|figure| {
            let about = ALIKE * figure.mean.abs();
            (
                figure.ci_low.unwrap_or(figure.mean - about),
                figure.ci_high.unwrap_or(figure.mean + about),
            )
        })
        .collect();
    if ends.len() < 3 {
        return ResponseShape::Unknown;
    }
    match &legs(&ends)[..] {
        [] => ResponseShape::Flat,
        [true] => ResponseShape::Rising,
        [false] => ResponseShape::Falling,
        [false, true] => ResponseShape::OneMinimum,
        [true, false] => ResponseShape::OneMaximum,
        _ => ResponseShape::Irregular,
    }
}

/// Returns the direction of each monotone section, true for upwards. A section begins where a figure differs from the
/// last extreme by more than the intervals.
fn legs(ends: &[(f64, f64)]) -> Vec<bool> {
    let mut legs: Vec<bool> = Vec::new();
    // Upper end of the least, and lower end of the greatest figure since the last turn.
    let (mut least_high, mut greatest_low) = (f64::INFINITY, f64::NEG_INFINITY);
    for &(low, high) in ends {
        let rises = low > least_high;
        let falls = high < greatest_low;
        match (legs.last(), rises, falls) {
            (Some(true), _, true) => legs.push(false),
            (Some(false), true, _) => legs.push(true),
            (None, true, _) => legs.push(true),
            (None, _, true) => legs.push(false),
            _ => {
                least_high = least_high.min(high);
                greatest_low = greatest_low.max(low);
                continue;
            }
        }
        (least_high, greatest_low) = (high, low);
    }
    legs
}
