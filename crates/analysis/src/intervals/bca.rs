use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::Interval;
use super::student::quantile;
use crate::statistics::percentile;

/// Number of resamples from which an interval is derived.
const RESAMPLES: usize = 2000;

/// Seed of the resamples. It is fixed, so the same values always have the same interval.
const SEED: u64 = 2000;

/// Returns the 95 % interval of the mean by the bias-corrected and accelerated bootstrap (Efron 1987), from seeded
/// resamples. Skewed values have a skewed interval. `None` below two values; the level is reached from twenty values
/// on.
///
/// A bootstrap of n values underestimates their variance by the factor (n − 1) / n and ignores its uncertainty. The
/// tails are therefore extended by as much as Student's t is wider (Hesterberg 2015, "What Teachers Should Know About
/// the Bootstrap": the expanded interval).
pub fn bca(values: &[f64]) -> Option<Interval> {
    of_tail(values, expanded_tail(values.len())?)
}

/// Returns the interval of a ratio of sums by the same bootstrap, with both sums from the same resamples. `None` below
/// two values, and where a divisor is not above 0.
pub fn ratio_bca(above: &[f64], below: &[f64]) -> Option<Interval> {
    ratio_of_tail(above, below, expanded_tail(above.len())?)
}

/// Returns the size of each tail for n values, extended by as much as Student's t is wider; `None` below two values.
fn expanded_tail(values: usize) -> Option<f64> {
    let count = values as f64;
    Some(Normal::standard().cdf(-(count / (count - 1.0)).sqrt() * quantile(values)?))
}

/// Returns the interval of [`bca`] with `tail` on each side of the resamples' distribution.
pub(super) fn of_tail(values: &[f64], tail: f64) -> Option<Interval> {
    let mean_of = |places: &[usize]| places.iter().map(|place| values[*place]).sum::<f64>() / places.len() as f64;
    bootstrap(values.len(), tail, mean_of)
}

/// Returns the interval of [`ratio_bca`] with `tail` on each side of the resamples' distribution.
pub(super) fn ratio_of_tail(above: &[f64], below: &[f64], tail: f64) -> Option<Interval> {
    if above.len() != below.len() || below.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let sum = |values: &[f64], places: &[usize]| places.iter().map(|place| values[*place]).sum::<f64>();
    bootstrap(above.len(), tail, |places| sum(above, places) / sum(below, places))
}

/// Computes the interval of a statistic of `count` values; `statistic` computes it for the values at the given
/// positions.
fn bootstrap(count: usize, tail: f64, statistic: impl Fn(&[usize]) -> f64) -> Option<Interval> {
    if count < 2 {
        return None;
    }
    let all: Vec<usize> = (0..count).collect();
    let center = statistic(&all);
    let mut draws = ChaCha8Rng::seed_from_u64(SEED);
    let mut places = all.clone();
    let mut resampled = || {
        places.fill_with(|| draws.random_range(0..count));
        statistic(&places)
    };
    let resamples: Vec<f64> = (0..RESAMPLES).map(|_| resampled()).collect();
    let below = resamples.iter().filter(|found| **found < center).count() as f64;
    let equal = resamples.iter().filter(|found| **found == center).count() as f64;
    let share_below = (below + equal / 2.0) / RESAMPLES as f64;
    // With equal values every resample has the same statistic.
    if share_below <= 0.0 || share_below >= 1.0 || equal == RESAMPLES as f64 {
        return Some((center, center));
    }
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share_below);
    let acceleration = acceleration(&all, statistic);
    let percent = |level: f64| {
        let shifted = bias + normal.inverse_cdf(level);
        100.0 * normal.cdf(bias + shifted / (1.0 - acceleration * shifted))
    };
    Some((
        percentile(&resamples, percent(tail))?,
        percentile(&resamples, percent(1.0 - tail))?,
    ))
}

/// Returns the acceleration: the skewness of the statistic without each value in turn (jackknife), divided by 6.
fn acceleration(all: &[usize], statistic: impl Fn(&[usize]) -> f64) -> f64 {
    // The first position is left out; each position in turn is then replaced by the previous one.
    let mut kept = all[1..].to_vec();
    let mut without = Vec::with_capacity(all.len());
    for out in 0..all.len() {
        without.push(statistic(&kept));
        if out < kept.len() {
            kept[out] = all[out];
        }
    }
    let center = without.iter().sum::<f64>() / without.len() as f64;
    let (cubes, squares) = without.iter().fold((0.0, 0.0), |(cubes, squares), found| {
        let above = center - found;
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
    use crate::statistics::mean;

    #[test]
    fn each_value_is_left_out_once() {
        let seen = std::cell::RefCell::new(Vec::new());
        acceleration(&[0, 1, 2], |places| {
            seen.borrow_mut().push(places.to_vec());
            0.0
        });
        assert_eq!(*seen.borrow(), [[1, 2], [0, 2], [0, 1]]);
    }

    #[test]
    fn a_ratio_of_what_goes_together_is_surer_than_its_parts() {
        let below: Vec<f64> = (1..=30).map(f64::from).collect();
        let above: Vec<f64> = below.iter().map(|value| 0.5 * value).collect();
        let (low, high) = ratio_bca(&above, &below).expect("enough");
        assert!((low - 0.5).abs() < 1e-12 && (high - 0.5).abs() < 1e-12);
        assert_eq!(ratio_bca(&above[1..], &below), None);
        assert_eq!(ratio_bca(&[1.0, 1.0], &[0.0, 1.0]), None);
        assert_eq!(ratio_bca(&[1.0], &[1.0]), None);
    }

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
