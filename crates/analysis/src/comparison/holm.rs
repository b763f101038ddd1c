/// Adjusts p-values for multiple comparisons by Holm's step-down method (1979): the smallest is multiplied by their
/// number, the next by one less, and so on; none is below the previous one or above 1. `None` stays `None` and is not
/// counted.
pub fn holm(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(place, value)| Some((place, (*value)?)))
        .collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut adjusted = vec![None; values.len()];
    let (mut left, mut largest) = (order.len(), 0.0_f64);
    for (place, value) in order {
        largest = largest.max((value * left as f64).min(1.0));
        adjusted[place] = Some(largest);
        left -= 1;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_known_stays_so_and_counts_for_nothing() {
        assert_eq!(holm(&[None, Some(0.03), None]), [None, Some(0.03), None]);
        assert_eq!(
            holm(&[Some(0.03), Some(0.03), Some(0.9)]),
            [Some(0.09), Some(0.09), Some(0.9)]
        );
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn no_p_value_becomes_smaller_and_their_order_stays(values in prop::collection::vec(0.0f64..=1.0, 1..12)) {
            let given: Vec<_> = values.iter().copied().map(Some).collect();
            let adjusted: Vec<f64> = holm(&given).into_iter().flatten().collect();
            for (one, one_adjusted) in values.iter().zip(&adjusted) {
                prop_assert!(one <= one_adjusted && *one_adjusted <= 1.0);
                for (other, other_adjusted) in values.iter().zip(&adjusted) {
                    prop_assert!(one > other || one_adjusted <= other_adjusted);
                }
            }
        }
    }
}
