use super::{Interval, bca, student_t};

/// From so many values on the bootstrap's interval holds what it says.
pub const FEWEST_FOR_BOOTSTRAP: usize = 20;

/// Returns the 95 % interval of the mean: by Student's t below 20 values, by the bootstrap from there. `None` below two.
pub fn mean_interval(values: &[f64]) -> Option<Interval> {
    match values.len() {
        FEWEST_FOR_BOOTSTRAP.. => bca(values),
        _ => student_t(values),
    }
}
