//! Splits a figure of the host over processes by CPU time. Pure: knows no clock and no process.

/// Returns each process tree's share of the host's busy CPU time, from 0 to 1, in the order given. The sum of the
/// shares never exceeds 1.
///
/// `host_busy_sec` and `trees_sec` are CPU seconds over the same window. The kernel counts them separately, so that
/// over a short window the trees can appear busier than the host. The shares are then relative to the sum of the trees.
///
/// # Examples
///
/// ```
/// use joulemark_meter::cpu_shares;
///
/// assert_eq!(cpu_shares(8.0, &[2.0, 4.0]), [0.25, 0.5]);
/// ```
pub fn cpu_shares(host_busy_sec: f64, trees_sec: &[f64]) -> Vec<f64> {
    let trees: Vec<f64> = trees_sec
        .iter()
        .map(|sec| if sec.is_finite() { sec.max(0.0) } else { 0.0 })
        .collect();
    let together: f64 = trees.iter().sum();
    let whole = if host_busy_sec.is_finite() {
        host_busy_sec.max(together)
    } else {
        together
    };
    if whole <= 0.0 {
        return vec![0.0; trees.len()];
    }
    trees.iter().map(|sec| (sec / whole).clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tree_gets_its_part_of_the_busy_time_and_the_rest_goes_to_others() {
        assert_eq!(cpu_shares(8.0, &[2.0, 4.0]), [0.25, 0.5]);
    }

    #[test]
    fn trees_busier_than_the_host_share_all_of_it() {
        assert_eq!(cpu_shares(1.0, &[1.0, 3.0]), [0.25, 0.75]);
    }

    #[test]
    fn an_idle_host_gives_nothing_to_anyone() {
        assert_eq!(cpu_shares(0.0, &[0.0, 0.0]), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn shares_are_never_negative_and_never_exceed_the_host(
            host in -1.0f64..1e6,
            trees in prop::collection::vec(-1.0f64..1e6, 0..40),
        ) {
            let shares = cpu_shares(host, &trees);
            prop_assert_eq!(shares.len(), trees.len());
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
            prop_assert!(shares.iter().sum::<f64>() <= 1.0 + 1e-9);
        }

        #[test]
        fn shares_keep_the_proportions_of_cpu_time(host in 0.1f64..1e3, a in 0.1f64..1e3, b in 0.1f64..1e3) {
            let shares = cpu_shares(host, &[a, b]);
            prop_assert!((shares[0] * b - shares[1] * a).abs() < 1e-9 * (a + b));
        }
    }
}
