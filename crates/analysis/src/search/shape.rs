use joulemark_experiment::sweep::{FigureOverRepeats, ResponseShape};

/// Half of what two figures without intervals may differ by and count as alike, as a share: a comparison's margin.
const ALIKE: f64 = 0.01;

/// Returns how figures go from one to the next. What lies within the intervals is no turn; a figure without one counts as
/// known to 1 %.
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

/// Returns each stretch in one direction, true for upwards: it begins where a figure surely differs from the last extreme.
fn legs(ends: &[(f64, f64)]) -> Vec<bool> {
    let mut legs: Vec<bool> = Vec::new();
    // Ends of the least and of the greatest figure since the last turn.
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
