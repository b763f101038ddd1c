//! Confidence intervals of means, medians and percentiles, and the dependence of neighbouring values. Owns the
//! formulas; leaves the meaning of the numbers to others. Pure functions.

mod bca;
mod dependence;
mod mean;
mod order;
mod outliers;
mod student;

pub use bca::{bca, ratio_bca};
pub use dependence::{effective_n, lag1_autocorrelation};
pub use mean::{MIN_FOR_BOOTSTRAP, mean_interval};
pub use order::{
    OrderInterval, median_interval, needed_for_bound, needed_for_interval, percentile_interval, upper_bound,
};
pub use outliers::outliers;
pub use student::student_t;

/// Confidence level: the share of repetitions whose interval contains the true value.
pub const LEVEL: f64 = 0.95;

/// An interval, its lower end first.
pub type Interval = (f64, f64);

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        values: Vec<f64>,
        student_t: Interval,
        median: Option<Interval>,
        bca: Interval,
    }

    #[test]
    fn intervals_are_those_of_scipy() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../testdata/intervals.json")).expect("JSON");
        assert!(cases.len() > 5);
        for Case {
            name,
            values,
            student_t: of_t,
            median,
            bca: of_bca,
        } in cases
        {
            let is = |found: Interval, expected: Interval, within: f64| {
                let off = (found.0 - expected.0).abs().max((found.1 - expected.1).abs());
                assert!(off <= within, "{name}: {found:?} is not {expected:?}");
            };
            is(student_t(&values).expect("enough"), of_t, 1e-9 * of_t.1.abs());
            assert_eq!(median_interval(&values), median, "{name}");
            // From 2,000 resamples in place of 100,000, and not expanded.
            let width = of_bca.1 - of_bca.0;
            is(bca::of_tail(&values, 0.025).expect("enough"), of_bca, 0.06 * width);
        }
    }

    #[derive(Deserialize)]
    struct Ratio {
        name: String,
        above: Vec<f64>,
        below: Vec<f64>,
        ratio: f64,
        bca: Interval,
    }

    #[test]
    fn intervals_of_ratios_are_those_of_scipy() {
        let cases: Vec<Ratio> = serde_json::from_str(include_str!("../testdata/ratios.json")).expect("JSON");
        assert!(cases.len() > 2);
        for of in cases {
            let found = bca::ratio_of_tail(&of.above, &of.below, 0.025).expect("enough");
            let off = (found.0 - of.bca.0).abs().max((found.1 - of.bca.1).abs());
            assert!(
                off <= 0.06 * (of.bca.1 - of.bca.0),
                "{}: {found:?} is not {:?}",
                of.name,
                of.bca
            );
            let expanded = ratio_bca(&of.above, &of.below).expect("enough");
            assert!(expanded.0 < found.0 && found.0 < of.ratio && of.ratio < found.1 && found.1 < expanded.1);
        }
    }
}
