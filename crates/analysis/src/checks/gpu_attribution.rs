use std::collections::{BTreeMap, BTreeSet};

use super::warning::warning;
use joulemark_experiment::report::CheckOutcome;
use joulemark_experiment::{Warning, WarningCode};
use joulemark_measurement::RankCycle;

/// Outcome of the check of GPU attribution.
pub struct Attribution {
    pub outcome: CheckOutcome,
    pub warning: Option<Warning>,
}

/// Checks that each GPU belongs to one rank only. Energy of GPUs is summed over ranks, so a shared GPU would count
/// twice.
pub fn check(cycles: &[RankCycle]) -> Attribution {
    let mut owners: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for cycle in cycles {
        for (position, uuid) in cycle.gpus.iter().enumerate() {
            let ranks = owners.entry(uuid).or_default();
            ranks.insert(cycle.rank);
            if ranks.len() > 1 || cycle.gpus[..position].contains(uuid) {
                twice.insert(uuid.as_str());
            }
        }
    }
    let outcome = match (owners.is_empty(), twice.is_empty()) {
        (true, _) => CheckOutcome::NotApplicable,
        (false, true) => CheckOutcome::Passed,
        (false, false) => CheckOutcome::Failed,
    };
    let message = |uuids: Vec<&str>| format!("these GPUs were counted for more than one rank: {}", uuids.join(", "));
    let warning =
        (!twice.is_empty()).then(|| warning(WarningCode::GpuCountedTwice, message(twice.iter().copied().collect())));
    Attribution { outcome, warning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::rank_cycle;

    fn with_gpus(rank: u32, cycle: u32, gpus: &[&str]) -> RankCycle {
        RankCycle {
            gpus: gpus.iter().map(|&uuid| uuid.to_owned()).collect(),
            ..rank_cycle(rank, cycle, 0.0, 1.0)
        }
    }

    #[test]
    fn the_same_gpu_in_every_cycle_of_one_rank_is_one_gpu() {
        let cycles = [
            with_gpus(0, 0, &["GPU-a"]),
            with_gpus(1, 0, &["GPU-b"]),
            with_gpus(0, 1, &["GPU-a"]),
        ];
        assert_eq!(check(&cycles).outcome, CheckOutcome::Passed);
    }

    #[test]
    fn a_gpu_of_two_ranks_fails_even_in_different_cycles() {
        let found = check(&[with_gpus(0, 0, &["GPU-a", "GPU-b"]), with_gpus(1, 1, &["GPU-a"])]);
        assert_eq!(found.outcome, CheckOutcome::Failed);
        assert_eq!(
            found.warning.unwrap().message,
            "these GPUs were counted for more than one rank: GPU-a"
        );
    }

    #[test]
    fn a_gpu_named_twice_by_one_rank_fails() {
        assert_eq!(
            check(&[with_gpus(0, 0, &["GPU-a", "GPU-a"])]).outcome,
            CheckOutcome::Failed
        );
    }

    #[test]
    fn without_gpus_the_check_does_not_apply() {
        assert_eq!(check(&[with_gpus(0, 0, &[])]).outcome, CheckOutcome::NotApplicable);
    }
}
