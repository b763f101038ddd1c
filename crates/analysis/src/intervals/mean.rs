use super::{Interval, bca, student_t};

/// Number of values from which the bootstrap's interval reaches its level.
pub const MIN_FOR_BOOTSTRAP: usize = 20;

/// Returns the 95 % interval of the mean: by Student's t below 20 values, by the bootstrap from 20 on. `None` below two
/// values.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    match values.len() {
        MIN_FOR_BOOTSTRAP.. => bca(values),
        _ => student_t(values),
    }
}
