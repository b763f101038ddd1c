use crate::statistics::mean;

/// Smallest number of values with a meaningful autocorrelation.
const MIN_VALUES: usize = 4;

/// Returns the lag-1 autocorrelation: the sum of products of neighbouring deviations from the mean, divided by the sum
/// of their squares. `None` below four values, and for equal ones.
pub fn lag1_autocorrelation(values: &[f64]) -> Option<f64> {
    // The mean of equal values may differ from them by rounding.
    if values.len() < MIN_VALUES || values.iter().all(|value| *value == values[0]) {
        return None;
    }
    let center = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    let neighbours = values.iter().zip(&values[1..]);
    let products: f64 = neighbours.map(|(one, next)| (one - center) * (next - center)).sum();
    (squares > 0.0).then(|| products / squares)
}

/// Returns the effective number of independent values: n · (1 − r) / (1 + r) for a lag-1 autocorrelation r above 0 (as
/// for an AR(1) process), else n. `None` where the autocorrelation is unknown.
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
