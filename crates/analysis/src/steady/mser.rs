//! End of the initial transient of a simulation or a load, by the marginal standard error rule over batches of five,
//! MSER-5 (White, Cobb and Spratt, 2000).

use crate::statistics::mean;

/// Number of values in a batch.
const BATCH: usize = 5;

/// Returns how many of the first values are a transient; `None` where it does not end in the first half.
///
/// Values are averaged in batches of five. The transient is the beginning without which the standard error of the
/// remaining mean is smallest.
pub(super) fn transient(values: &[f64]) -> Option<usize> {
    let batches: Vec<f64> = values.chunks_exact(BATCH).filter_map(mean).collect();
    let count = batches.len();
    // Going backwards, mean and sum of squares are updated with one batch at a time (Welford, 1962).
    let (mut center, mut squares) = (0.0, 0.0);
    let mut least: Option<(f64, usize)> = None;
    for (kept, (first, value)) in (1..).zip(batches.iter().enumerate().rev()) {
        let (kept, away) = (f64::from(kept), value - center);
        center += away / kept;
        squares += away * (value - center);
        let error = squares / (kept * kept);
        if first <= count / 2 && least.is_none_or(|(so_far, _)| error <= so_far) {
            least = Some((error, first));
        }
    }
    let (_, first) = least?;
    (first < count / 2).then_some(first * BATCH)
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::transient;

    #[test]
    fn a_beginning_that_differs_is_left_out_and_one_that_does_not_is_kept() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut values = |of: fn(f64) -> f64| -> Vec<f64> {
            (0..200).map(|at| of(f64::from(at)) + random.random::<f64>()).collect()
        };
        let calm = transient(&values(|_| 10.0)).expect("it is steady");
        assert!(calm <= 60, "{calm}");
        let rising = transient(&values(|at| 10.0 * (1.0 - (-at / 10.0).exp()))).expect("it settles");
        assert!((20..=90).contains(&rising), "{rising}");
        assert_eq!(transient(&values(|at| at)), None);
        assert_eq!(transient(&[]), None);
        assert_eq!(transient(&[3.0; 60]), Some(0));
    }
}
