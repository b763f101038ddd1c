use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::{Interval, LEVEL};
use crate::statistics::{mean, standard_deviation};

/// Returns the 95 % interval of the mean by Student's t: mean ± t · s / √n with n − 1 degrees of freedom. It is exact
/// for independent values of a normal distribution. `None` below two values.
pub fn student_t(values: &[f64]) -> Option<Interval> {
    let (center, deviation) = (mean(values)?, standard_deviation(values)?);
    let count = values.len() as f64;
    let half = quantile(values.len())? * deviation / count.sqrt();
    Some((center - half, center + half))
}

/// Returns Student's t for `count` values: 2.5 % of the distribution with `count` − 1 degrees of freedom lies beyond
/// it. `None` below two values.
pub(super) fn quantile(count: usize) -> Option<f64> {
    let degrees = count.checked_sub(1)? as f64;
    let of_t = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(of_t.inverse_cdf(0.5 + LEVEL / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_no_interval_and_equal_ones_have_none_of_width() {
        assert_eq!(student_t(&[1.0]), None);
        assert_eq!(student_t(&[3.0, 3.0, 3.0]), Some((3.0, 3.0)));
    }
}
