use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::Interval;
use super::student::quantile;
use crate::statistics::{mean, percentile};

/// Resamples that an interval is drawn from.
const RESAMPLES: usize = 2000;

/// The same values have the same interval, wherever it is computed.
const SEED: u64 = 2000;

/// Returns the 95 % interval of the mean by the bias-corrected and accelerated bootstrap (Efron 1987), from seeded
/// resamples. Skewed values have a skewed interval. `None` below two values; from twenty on it holds what it says.
///
/// Makes up for what a bootstrap of n values lacks: it has n − 1 over n of their variance, and no doubt of it, so that its tails are made as much longer as
/// Student's t is wider (Hesterberg 2015, "What Teachers Should Know About the Bootstrap": the expanded interval).
pub fn bca(values: &[f64]) -> Option<Interval> {
    let count = values.len() as f64;
    let tail = Normal::standard().cdf(-(count / (count - 1.0)).sqrt() * quantile(values.len())?);
    of_tail(values, tail)
}

/// Does what [`bca`] does, with `tail` on each side of the resamples' distribution.
pub(super) fn of_tail(values: &[f64], tail: f64) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let center = mean(values)?;
    let mut draws = ChaCha8Rng::seed_from_u64(SEED);
    let mut resampled = || {
        let sum: f64 = (0..values.len())
            .map(|_| values[draws.random_range(0..values.len())])
            .sum();
        sum / values.len() as f64
    };
    let means: Vec<f64> = (0..RESAMPLES).map(|_| resampled()).collect();
    let below = means.iter().filter(|mean| **mean < center).count() as f64;
    let equal = means.iter().filter(|mean| **mean == center).count() as f64;
    let share_below = (below + equal / 2.0) / RESAMPLES as f64;
    // Equal values: every resample has their mean.
    if share_below <= 0.0 || share_below >= 1.0 || equal == RESAMPLES as f64 {
        return Some((center, center));
    }
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share_below);
    let acceleration = acceleration(values, center);
    let percent = |level: f64| {
        let shifted = bias + normal.inverse_cdf(level);
        100.0 * normal.cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    Some((
        percentile(&means, percent(tail))?,
        percentile(&means, percent(1.0 - tail))?,
    ))
}

/// Returns the skewness of the means without each value in turn, over 6.
fn acceleration(values: &[f64], center: f64) -> f64 {
    // The mean without a value lies above the mean by a share of how far the value lies below it.
    let above = values.iter().map(|value| value - center);
    let (cubes, squares) = above.fold((0.0, 0.0), |(cubes, squares), above| {
        (cubes + above.powi(3), squares + above.powi(2))
    });
    match squares > 0.0 {
        true => cubes / (6.0 * squares.powf(1.5)),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervals::student_t;

    #[test]
    fn equal_values_have_an_interval_without_width_and_one_value_none() {
        assert_eq!(bca(&[2.0; 20]), Some((2.0, 2.0)));
        assert_eq!(bca(&[2.0]), None);
    }

    #[test]
    fn the_same_values_have_the_same_interval() {
        let values: Vec<f64> = (0..30).map(|value| f64::from(value * value)).collect();
        assert_eq!(bca(&values), bca(&values));
        let (low, high) = bca(&values).expect("an interval");
        let (of_t, _) = student_t(&values).expect("an interval");
        let center = mean(&values).expect("values");
        assert!(low < center && center < high);
        assert!(
            high - center > center - low,
            "they are skewed to the right: {low} {center} {high}"
        );
        assert!((low - of_t).abs() < 0.2 * (high - low));
    }
}
