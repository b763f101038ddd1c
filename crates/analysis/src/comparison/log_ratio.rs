use statrs::distribution::{ContinuousCDF as _, StudentsT};

use crate::intervals::{Interval, LEVEL};
use crate::statistics::{mean, standard_deviation};

/// Maximum of the degrees of freedom, at which Student's t equals the normal distribution to all digits.
const MAX_DEGREES: f64 = 1e7;

/// Rounding error of logarithms of figures, which are at most some hundreds and rounded by 2⁻⁵³ of that.
const ROUNDING: f64 = 1e-13;

/// Logarithm of the ratio of a candidate's mean to a baseline's, with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRatio {
    pub center: f64,
    /// Standard error, above 0.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error.
    pub degrees: f64,
}

/// Returns the difference of the means of logarithms of independent measurements, by Welch's test, which allows unequal
/// variances. `None` below two values on a side, where neither side varies, and for values that are not above 0.
pub fn welch(baseline: &[f64], candidate: &[f64]) -> Option<LogRatio> {
    let (baseline, candidate) = (logarithms(baseline)?, logarithms(candidate)?);
    let center = mean(&candidate)? - mean(&baseline)?;
    let (of_baseline, of_candidate) = (variance_of_mean(&baseline)?, variance_of_mean(&candidate)?);
    let variance = of_baseline + of_candidate;
    let share = |of: f64, count: usize| of * of / (count - 1) as f64;
    let degrees = variance * variance / (share(of_baseline, baseline.len()) + share(of_candidate, candidate.len()));
    LogRatio::new(center, variance, degrees)
}

/// Returns the mean difference of logarithms over pairs that were measured in turns, so that drift affects both of a
/// pair. `None` below two pairs, where sides differ in number, where all differences are equal, and for values that are
/// not above 0.
pub fn paired_t(baseline: &[f64], candidate: &[f64]) -> Option<LogRatio> {
    if baseline.len() != candidate.len() {
        return None;
    }
    let (baseline, candidate) = (logarithms(baseline)?, logarithms(candidate)?);
    let differences: Vec<f64> = candidate
        .iter()
        .zip(&baseline)
        .map(|(one, other)| one - other)
        .collect();
    let degrees = differences.len().checked_sub(1)? as f64;
    LogRatio::new(mean(&differences)?, variance_of_mean(&differences)?, degrees)
}

/// Returns the logarithm of each value; `None` where one is not above 0 or not finite.
fn logarithms(values: &[f64]) -> Option<Vec<f64>> {
    let of = |value: &f64| (value.is_finite() && *value > 0.0).then(|| value.ln());
    values.iter().map(of).collect()
}

/// Returns the variance of the mean of logarithms; 0 where they differ only by rounding, and `None` below two values.
fn variance_of_mean(values: &[f64]) -> Option<f64> {
    let deviation = standard_deviation(values)?;
    let seen = if deviation > ROUNDING { deviation } else { 0.0 };
    Some(seen * seen / values.len() as f64)
}

impl LogRatio {
    /// Creates a ratio; `None` where variance or degrees of freedom are not above 0.
    fn new(center: f64, variance: f64, degrees: f64) -> Option<Self> {
        (variance > 0.0 && degrees > 0.0).then(|| Self {
            center,
            standard_error: variance.sqrt(),
            degrees: degrees.min(MAX_DEGREES),
        })
    }

    /// Adds an independent standard deviation that repetition does not show. It adds to the variance and has infinite
    /// degrees of freedom (GUM, JCGM 100:2008, G.4.1).
    #[must_use]
    pub fn widened(self, deviation: f64) -> Self {
        let (before, added) = (self.standard_error.powi(2), deviation * deviation);
        let growth = (before + added) / before;
        Self {
            standard_error: (before + added).sqrt(),
            degrees: (self.degrees * growth * growth).min(MAX_DEGREES),
            ..self
        }
    }

    /// Returns the 95 % interval of the ratio.
    pub fn interval(&self) -> Option<Interval> {
        let half = self.of_t()?.inverse_cdf(0.5 + LEVEL / 2.0) * self.standard_error;
        Some(((self.center - half).exp(), (self.center + half).exp()))
    }

    /// Returns the two-sided p-value: the probability of a ratio at least as far from 1 if the true ratio is 1.
    pub fn p_value(&self) -> Option<f64> {
        Some((2.0 * self.beyond(self.center.abs())?).min(1.0))
    }

    /// Returns the larger p-value of two one-sided tests: that the ratio is below 1 / (1 + margin), and that it is
    /// above 1 + margin. Below 0.05 the ratio lies between these bounds (Schuirmann 1987). The bounds are the same
    /// whichever result is the baseline.
    pub fn equivalence_p_value(&self, margin: f64) -> Option<f64> {
        let bound = margin.ln_1p();
        let (above_low, below_high) = (self.center + bound, bound - self.center);
        Some(self.beyond(above_low)?.max(self.beyond(below_high)?))
    }

    /// Returns the share of the distribution beyond a distance from its centre.
    fn beyond(&self, distance: f64) -> Option<f64> {
        Some(self.of_t()?.sf(distance / self.standard_error))
    }

    /// Returns Student's t distribution with the ratio's degrees of freedom.
    fn of_t(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.degrees).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::holm::holm;
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        baseline: Vec<f64>,
        candidate: Vec<f64>,
        welch: Expected,
        paired_t: Option<Expected>,
    }

    #[derive(Deserialize)]
    struct Expected {
        ratio: f64,
        interval: Interval,
        p_value: f64,
        degrees: f64,
        /// At a margin of 2 %.
        equivalence_p_value: f64,
    }

    #[derive(Deserialize)]
    struct Adjusted {
        p_values: Vec<f64>,
        holm: Vec<f64>,
    }

    #[derive(Deserialize)]
    struct Reference {
        ratios: Vec<Case>,
        adjusted: Vec<Adjusted>,
    }

    fn reference() -> Reference {
        serde_json::from_str(include_str!("../../testdata/comparison.json")).expect("JSON")
    }

    fn is_near(name: &str, found: f64, expected: f64) {
        let within = 1e-7 * expected.abs() + 1e-12;
        assert!((found - expected).abs() <= within, "{name}: {found} is not {expected}");
    }

    fn agrees(name: &str, found: &LogRatio, expected: &Expected) {
        let (low, high) = found.interval().expect("an interval");
        for (found, expected) in [
            (found.center.exp(), expected.ratio),
            (low, expected.interval.0),
            (high, expected.interval.1),
            (found.p_value().expect("known"), expected.p_value),
            (found.degrees, expected.degrees),
            (
                found.equivalence_p_value(0.02).expect("known"),
                expected.equivalence_p_value,
            ),
        ] {
            is_near(name, found, expected);
        }
    }

    #[test]
    fn ratios_intervals_and_p_values_are_those_of_scipy() {
        let cases = reference().ratios;
        assert!(cases.len() > 5);
        for case in &cases {
            let found = welch(&case.baseline, &case.candidate).expect("enough");
            agrees(&format!("{}, Welch", case.name), &found, &case.welch);
            if let Some(expected) = &case.paired_t {
                let found = paired_t(&case.baseline, &case.candidate).expect("enough");
                agrees(&format!("{}, paired", case.name), &found, expected);
            }
        }
        assert!(cases.iter().any(|case| case.paired_t.is_some()));
    }

    #[test]
    fn adjusted_p_values_are_those_of_statsmodels() {
        let cases = reference().adjusted;
        assert!(cases.len() > 3);
        for Adjusted {
            p_values,
            holm: expected,
        } in cases
        {
            let given: Vec<_> = p_values.iter().copied().map(Some).collect();
            for (found, expected) in holm(&given).into_iter().zip(expected) {
                is_near("Holm", found.expect("known"), expected);
            }
        }
    }

    #[test]
    fn what_has_no_logarithm_or_no_scatter_has_no_interval() {
        for (baseline, candidate) in [
            (&[1.0][..], &[1.0, 2.0][..]),
            (&[1.0, 2.0], &[]),
            (&[0.0, 1.0], &[1.0, 2.0]),
            (&[1.0, 2.0], &[-1.0, 2.0]),
            (&[1.0, f64::INFINITY], &[1.0, 2.0]),
            (&[0.1, 0.1, 0.1], &[0.3, 0.3, 0.3]),
        ] {
            assert_eq!(welch(baseline, candidate), None, "{baseline:?} {candidate:?}");
        }
        assert_eq!(paired_t(&[1.0, 2.0], &[1.0, 2.0, 3.0]), None, "no pairs");
        assert_eq!(paired_t(&[1.0, 2.0, 4.0], &[2.0, 4.0, 8.0]), None, "all alike");
        assert!(
            welch(&[0.1, 0.1, 0.1], &[0.3, 0.31, 0.3]).is_some(),
            "one side has scatter"
        );
    }

    #[test]
    fn what_repetition_does_not_tell_of_widens_the_interval_towards_the_normal_distributions() {
        let found = welch(&[1.0, 1.01, 0.99], &[1.1, 1.12, 1.09]).expect("enough");
        assert_eq!(found.widened(0.0), found);
        let wide = found.widened(0.05);
        assert!(wide.degrees > 100.0 * found.degrees, "{wide:?}");
        let (low, high) = wide.interval().expect("known");
        let half = (high / low).ln() / 2.0;
        let expected = 1.959_964 * found.standard_error.hypot(0.05);
        assert!((half - expected).abs() < 0.001, "{half} is not {expected}");
        assert!(wide.p_value() > found.p_value());
    }

    #[test]
    fn the_ratio_turned_round_has_the_interval_turned_round() {
        let (one, other) = ([1.0, 1.02, 0.97, 1.01], [1.3, 1.1, 1.2]);
        let (there, back) = (
            welch(&one, &other).expect("enough"),
            welch(&other, &one).expect("enough"),
        );
        let ((low, high), (low_back, high_back)) = (there.interval().expect("known"), back.interval().expect("known"));
        is_near("turned", low * high_back, 1.0);
        is_near("turned", high * low_back, 1.0);
        is_near("p", there.p_value().expect("known"), back.p_value().expect("known"));
        is_near(
            "equivalence",
            there.equivalence_p_value(0.02).expect("known"),
            back.equivalence_p_value(0.02).expect("known"),
        );
    }
}
