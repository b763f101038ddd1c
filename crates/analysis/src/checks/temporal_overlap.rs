use super::warning::warning;
use crate::group::Group;
use crate::windows::{extremes_sec, intersection_sec};
use joulemark_experiment::report::CheckOutcome;
use joulemark_experiment::{Warning, WarningCode};

/// Smallest overlap that passes. With less the ranks did not run together, and their rates do not add up to the
/// system's.
const MIN_RATIO: f64 = 0.5;

/// Outcome of the check of temporal overlap.
pub struct Overlap {
    pub outcome: CheckOutcome,
    pub ratio: Option<f64>,
    pub warning: Option<Warning>,
}

/// Checks that in every cycle the ranks' windows share at least half of the shortest window, and reports the worst
/// cycle.
pub fn check(groups: &[Group<'_>]) -> Overlap {
    let worst = groups
        .iter()
        .filter(|group| group.ranks.len() > 1)
        .map(|group| (ratio(group), group.cycle));
    let Some((ratio, cycle)) = worst.min_by(|(a, _), (b, _)| a.total_cmp(b)) else {
        return Overlap {
            outcome: CheckOutcome::NotApplicable,
            ratio: None,
            warning: None,
        };
    };
    let passed = ratio >= MIN_RATIO;
    let message = || {
        format!(
            "in cycle {cycle} the ranks' windows share {:.0} % of the shortest; at least 50 % is needed",
            100.0 * ratio
        )
    };
    Overlap {
        outcome: if passed {
            CheckOutcome::Passed
        } else {
            CheckOutcome::Failed
        },
        ratio: Some(ratio),
        warning: (!passed).then(|| warning(WarningCode::NoTemporalOverlap, message())),
    }
}

/// Returns the time that all windows share as a share of the shortest window; 0 where that has no length.
fn ratio(group: &Group<'_>) -> f64 {
    let windows = group.windows();
    match extremes_sec(&windows) {
        Some((shortest, _)) if shortest > 0.0 => intersection_sec(&windows) / shortest,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rank_cycle;
    use crate::group::groups;
    use joulemark_measurement::RankCycle;

    fn checked(cycles: &[RankCycle]) -> Overlap {
        check(&groups(cycles, &[]))
    }

    #[test]
    fn one_rank_has_nothing_to_overlap_with() {
        let overlap = checked(&[rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 10.0, 20.0)]);
        assert_eq!((overlap.outcome, overlap.ratio), (CheckOutcome::NotApplicable, None));
    }

    #[test]
    fn exactly_half_of_the_shortest_passes() {
        let overlap = checked(&[rank_cycle(0, 0, 0.0, 10.0), rank_cycle(1, 0, 8.0, 12.0)]);
        assert_eq!((overlap.outcome, overlap.ratio), (CheckOutcome::Passed, Some(0.5)));
        assert_eq!(overlap.warning, None);
    }

    #[test]
    fn one_cycle_of_ranks_in_turn_fails_and_is_named() {
        let overlap = checked(&[
            rank_cycle(0, 0, 0.0, 10.0),
            rank_cycle(1, 0, 0.0, 10.0),
            rank_cycle(0, 1, 20.0, 30.0),
            rank_cycle(1, 1, 30.0, 40.0),
        ]);
        assert_eq!((overlap.outcome, overlap.ratio), (CheckOutcome::Failed, Some(0.0)));
        let warning = overlap.warning.unwrap();
        assert_eq!(warning.code, WarningCode::NoTemporalOverlap);
        assert!(warning.message.contains("cycle 1"), "{}", warning.message);
    }
}
