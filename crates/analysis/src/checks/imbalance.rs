use super::warning::warning;
use crate::group::Group;
use crate::windows::extremes_sec;
use joulemark_experiment::{Warning, WarningCode};

/// Largest ratio without a warning. At 1.25 the slowest rank runs a quarter longer than the fastest, whose share of the
/// host is idle for that time.
const MAX_RATIO: f64 = 1.25;

/// Outcome of the check of imbalance.
pub struct Imbalance {
    pub ratio: Option<f64>,
    pub warning: Option<Warning>,
}

/// Computes the ratio of the longest to the shortest window of a cycle's ranks, and reports the worst cycle.
pub fn check(groups: &[Group<'_>]) -> Imbalance {
    let ratios = groups.iter().filter(|group| group.ranks.len() > 1).filter_map(|group| {
        let (shortest, longest) = extremes_sec(&group.windows())?;
        (shortest > 0.0).then(|| (longest / shortest, group.cycle))
    });
    let Some((ratio, cycle)) = ratios.max_by(|(a, _), (b, _)| a.total_cmp(b)) else {
        return Imbalance {
            ratio: None,
            warning: None,
        };
    };
    let message = || format!("in cycle {cycle} the longest rank ran {ratio:.2} times as long as the shortest");
    let warning = (ratio > MAX_RATIO).then(|| warning(WarningCode::RankImbalance, message()));
    Imbalance {
        ratio: Some(ratio),
        warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rank_cycle;
    use crate::group::groups;

    #[test]
    fn a_quarter_longer_is_still_balanced() {
        let cycles = [rank_cycle(0, 0, 0.0, 8.0), rank_cycle(1, 0, 0.0, 10.0)];
        let imbalance = check(&groups(&cycles, &[]));
        assert_eq!((imbalance.ratio, imbalance.warning), (Some(1.25), None));
    }

    #[test]
    fn the_worst_cycle_is_reported_and_ranks_of_different_cycles_are_not_compared() {
        let cycles = [
            rank_cycle(0, 0, 0.0, 2.0),
            rank_cycle(1, 0, 0.0, 2.0),
            rank_cycle(0, 1, 10.0, 14.0),
            rank_cycle(1, 1, 10.0, 20.0),
        ];
        let imbalance = check(&groups(&cycles, &[]));
        assert_eq!(imbalance.ratio, Some(2.5));
        assert_eq!(imbalance.warning.unwrap().code, WarningCode::RankImbalance);
    }

    #[test]
    fn one_rank_cannot_be_imbalanced() {
        let cycles = [rank_cycle(0, 0, 0.0, 2.0), rank_cycle(0, 1, 0.0, 9.0)];
        assert_eq!(check(&groups(&cycles, &[])).ratio, None);
    }
}
