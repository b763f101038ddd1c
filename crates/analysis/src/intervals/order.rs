use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::{Interval, LEVEL};

/// Interval of a percentile whose ends are two of the values. It is valid for any distribution. An end is `None` where
/// there are too few values for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OrderInterval {
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Returns the 95 % interval of the `percent`-th percentile, 2.5 % on each side, from order statistics: the number of n
/// values below the percentile is binomial (Conover, Practical Nonparametric Statistics, 3.2).
pub fn percentile_interval(values: &[f64], percent: f64) -> OrderInterval {
    let sorted = sorted(values);
    let tail = (1.0 - LEVEL) / 2.0;
    OrderInterval {
        low: low_rank(sorted.len(), percent, tail).map(|rank| sorted[rank]),
        high: high_rank(sorted.len(), percent, tail).map(|rank| sorted[rank]),
    }
}

/// Returns the interval of the median; `None` below six values.
pub fn median_interval(values: &[f64]) -> Option<Interval> {
    let interval = percentile_interval(values, 50.0);
    Some((interval.low?, interval.high?))
}

/// Returns the one-sided upper bound of the `percent`-th percentile at 95 %; `None` where there are too few values.
pub fn upper_bound(values: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(values);
    high_rank(sorted.len(), percent, 1.0 - LEVEL).map(|rank| sorted[rank])
}

/// Returns the number of values needed for the upper end of a two-sided interval.
pub fn needed_for_interval(percent: f64) -> u32 {
    needed(percent, (1.0 - LEVEL) / 2.0)
}

/// Returns the number of values needed for a one-sided upper bound.
pub fn needed_for_bound(percent: f64) -> u32 {
    needed(percent, 1.0 - LEVEL)
}

/// Returns the smallest number of values that are all below the percentile with a probability of at most `tail`.
fn needed(percent: f64, tail: f64) -> u32 {
    (tail.ln() / (percent / 100.0).ln()).ceil() as u32
}

/// Returns the values in ascending order.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Returns the highest index whose value is above the percentile with a probability of at most `tail`, which is the
/// probability that at most this many values are below it; `None` where there is none.
fn low_rank(count: usize, percent: f64, tail: f64) -> Option<usize> {
    let below = Binomial::new(percent / 100.0, count as u64).ok()?;
    first(count, |place| below.cdf(place) > tail).checked_sub(1)
}

/// Returns the lowest index whose value is below the percentile with a probability of at most `tail`, which is the
/// probability that all values up to it are; `None` where there is none.
fn high_rank(count: usize, percent: f64, tail: f64) -> Option<usize> {
    let below = Binomial::new(percent / 100.0, count as u64).ok()?;
    let place = first(count, |place| 1.0 - below.cdf(place) <= tail);
    (place < count).then_some(place)
}

/// Returns the first index from which on `holds` is true; `count` where there is none.
fn first(count: usize, holds: impl Fn(u64) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match holds(middle as u64) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(count: u32) -> Vec<f64> {
        (1..=count).map(f64::from).collect()
    }

    #[test]
    fn a_median_has_an_interval_from_six_values_on() {
        assert_eq!(median_interval(&up_to(5)), None);
        assert_eq!(median_interval(&up_to(6)), Some((1.0, 6.0)));
        assert_eq!(median_interval(&up_to(10)), Some((2.0, 9.0)));
    }

    #[test]
    fn a_tail_takes_as_many_requests_as_the_books_say() {
        assert_eq!((needed_for_bound(99.0), needed_for_interval(99.0)), (299, 368));
        assert_eq!(((0.01_f64).ln() / (0.99_f64).ln()).ceil(), 459.0, "for 99 %");
        assert_eq!(upper_bound(&up_to(298), 99.0), None);
        assert_eq!(upper_bound(&up_to(299), 99.0), Some(299.0));
        assert_eq!(percentile_interval(&up_to(367), 99.0).high, None);
        assert_eq!(percentile_interval(&up_to(368), 99.0).high, Some(368.0));
        assert!(percentile_interval(&up_to(367), 99.0).low.is_some());
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(percentile_interval(&[], 50.0), OrderInterval { low: None, high: None });
    }
}
