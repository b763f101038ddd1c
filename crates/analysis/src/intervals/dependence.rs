use crate::statistics::mean;

/// Fewer neighbours say nothing of how they depend on each other.
const FEWEST: usize = 4;

/// Returns the correlation of each value with the next: the sum of products of neighbours' distances from the mean, over the
/// sum of their squares. `None` below four values, and of equal ones.
pub fn lag1_autocorrelation(values: &[f64]) -> Option<f64> {
    // The mean of equal values may be off by its rounding, and all distances be the same.
    if values.len() < FEWEST || values.iter().all(|value| *value == values[0]) {
        return None;
    }
    let center = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    let neighbours = values.iter().zip(&values[1..]);
    let products: f64 = neighbours.map(|(one, next)| (one - center) * (next - center)).sum();
    (squares > 0.0).then(|| products / squares)
}

/// Returns how many independent values say as much of the mean: n · (1 − r) / (1 + r) for a lag-1 autocorrelation r above 0
/// (as of an AR(1) process), n otherwise. `None` where the autocorrelation is.
pub fn effective_n(values: &[f64]) -> Option<f64> {
    let correlation = lag1_autocorrelation(values)?.clamp(0.0, 1.0);
    let count = values.len() as f64;
    Some((count * (1.0 - correlation) / (1.0 + correlation)).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_drift_depend_on_each_other_and_those_that_swing_do_not_count_for_more() {
        let drifting = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        // Products 2.5·1.5, 1.5·0.5, −0.25, 0.75 and 3.75 over 17.5.
        assert!((lag1_autocorrelation(&drifting).expect("enough") - 0.5).abs() < 1e-12);
        assert!((effective_n(&drifting).expect("enough") - 2.0).abs() < 1e-12);
        let swinging = [1.0, 2.0, 1.0, 2.0];
        assert!(lag1_autocorrelation(&swinging).expect("enough") < 0.0);
        assert_eq!(effective_n(&swinging), Some(4.0));
        assert_eq!(lag1_autocorrelation(&[1.0, 2.0, 3.0]), None);
        assert_eq!(lag1_autocorrelation(&[0.1; 10]), None);
    }
}
