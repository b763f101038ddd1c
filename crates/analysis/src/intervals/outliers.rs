use crate::statistics::median;

/// Smallest number of values in which outliers are detected.
const MIN_VALUES: usize = 5;

/// Number of robust standard deviations beyond which a value is an outlier, and the factor between the median absolute
/// deviation of a normal distribution and its standard deviation (Iglewicz and Hoaglin 1993).
const MAX_DEVIATIONS: f64 = 3.5;
const MAD_OF_NORMAL: f64 = 0.6745;

/// Returns the indices of values that are more than 3.5 robust standard deviations from the median; empty below five
/// values, and where more than half of them are equal.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let Some(center) = median(values).filter(|_| values.len() >= MIN_VALUES) else {
        return Vec::new();
    };
    let distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    let Some(typical) = median(&distances).filter(|typical| *typical > 0.0) else {
        return Vec::new();
    };
    let is_far = |distance: &f64| MAD_OF_NORMAL * distance / typical > MAX_DEVIATIONS;
    let far = distances.iter().enumerate().filter(|(_, distance)| is_far(distance));
    far.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_lies_far_away_is_named_and_few_or_equal_ones_have_none() {
        assert_eq!(outliers(&[10.0, 10.1, 9.9, 14.0, 10.05, 9.95]), [3]);
        assert!(outliers(&[10.0, 10.1, 9.9, 10.2, 9.8]).is_empty());
        assert!(outliers(&[1.0, 1.0, 1.0, 9.0]).is_empty());
        assert!(outliers(&[1.0, 1.0, 1.0, 9.0, 1.0]).is_empty());
    }
}
