//! Descriptive statistics of numbers. Owns the formulas; leaves the meaning of the numbers to others.

/// Returns the arithmetic mean; `None` without a value.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Returns the sample standard deviation (divisor n − 1); `None` below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let center = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Returns the `percent`-th percentile, 0 to 100, interpolated linearly between neighbouring ranks: it lies at position
/// `percent` / 100 · (n − 1) of the sorted values, counted from 0 (type 7 of Hyndman and Fan, the default of numpy and
/// R). `None` without a value, and for a `percent` outside 0 to 100.
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let [percentile] = percentiles(values, [percent]);
    percentile
}

/// Returns several percentiles as [`percentile`] does, sorting the values once.
pub fn percentiles<const N: usize>(values: &[f64], percents: [f64; N]) -> [Option<f64>; N] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    percents.map(|percent| of_sorted(&sorted, percent))
}

/// Returns a percentile of sorted values.
fn of_sorted(sorted: &[f64], percent: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=100.0).contains(&percent) {
        return None;
    }
    let position = percent / 100.0 * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    let part = position - position.floor();
    // A weighted sum of both values cannot leave the interval between them by rounding, unlike the lower one plus a
    // part of their difference.
    let between = sorted[below] * (1.0 - part) + sorted[above] * part;
    Some(between.clamp(sorted[below], sorted[above]))
}

/// Returns the median: the middle value, or the mean of the two middle ones; `None` without a value.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_statistics() {
        assert_eq!(mean(&[]), None);
        assert_eq!(standard_deviation(&[]), None);
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_value_is_its_own_mean_and_every_percentile_but_has_no_deviation() {
        assert_eq!(mean(&[7.0]), Some(7.0));
        assert_eq!(standard_deviation(&[7.0]), None);
        assert_eq!(percentile(&[7.0], 0.0), Some(7.0));
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
    }

    #[test]
    fn the_figures_agree_with_numpy() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&values), Some(5.0));
        assert!((standard_deviation(&values).unwrap() - 2.138_089_935_299_395).abs() < 1e-15);
        assert_eq!(median(&values), Some(4.5));
        assert!((percentile(&values, 99.0).unwrap() - 8.86).abs() < 1e-12);
        assert_eq!(percentile(&[4.0, 1.0, 3.0, 2.0], 25.0), Some(1.75));
    }

    #[test]
    fn a_percentile_outside_0_to_100_is_none() {
        assert_eq!(percentile(&[1.0], -0.1), None);
        assert_eq!(percentile(&[1.0], 100.1), None);
        assert_eq!(percentile(&[1.0], f64::NAN), None);
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-1e6f64..1e6, 1..200)
    }

    proptest! {
        #[test]
        fn mean_and_percentiles_lie_between_the_extremes(values in values(), percent in 0.0f64..=100.0) {
            let lowest = percentile(&values, 0.0).unwrap();
            let highest = percentile(&values, 100.0).unwrap();
            prop_assert_eq!(lowest, values.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(highest, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            prop_assert!((lowest..=highest).contains(&percentile(&values, percent).unwrap()));
            prop_assert!((lowest - 1e-6..=highest + 1e-6).contains(&mean(&values).unwrap()));
        }

        #[test]
        fn a_higher_percent_is_never_a_lower_value(values in values(), a in 0.0f64..=100.0, b in 0.0f64..=100.0) {
            prop_assert!(percentile(&values, a.min(b)).unwrap() <= percentile(&values, a.max(b)).unwrap() + 1e-6);
        }

        #[test]
        fn order_does_not_matter(values in values(), percent in 0.0f64..=100.0) {
            let mut reversed = values.clone();
            reversed.reverse();
            prop_assert_eq!(percentile(&values, percent), percentile(&reversed, percent));
        }

        #[test]
        fn shifting_moves_the_mean_and_keeps_the_deviation(values in values(), shift in -1e3f64..1e3) {
            let shifted: Vec<f64> = values.iter().map(|value| value + shift).collect();
            prop_assert!((mean(&shifted).unwrap() - mean(&values).unwrap() - shift).abs() < 1e-6);
            match (standard_deviation(&values), standard_deviation(&shifted)) {
                (Some(before), Some(after)) => prop_assert!((before - after).abs() < 1e-6 * before.max(1.0)),
                (before, after) => prop_assert_eq!(before, after),
            }
        }

        #[test]
        fn equal_values_do_not_deviate(value in -1e6f64..1e6, count in 2usize..50) {
            prop_assert!(standard_deviation(&vec![value; count]).unwrap() < 1e-6);
        }
    }
}
