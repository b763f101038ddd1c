//! Checks of a result, one file each. A failed check adds a warning and never hides a figure.

mod energy_quality;
mod gpu_attribution;
mod idle_gpus;
mod imbalance;
mod load;
mod output_identity;
mod served;
mod short_window;
mod temporal_overlap;
mod unknown_metrics;
mod warning;

pub use idle_gpus::check as idle_gpus;
pub use load::check as load_warnings;
pub use served::{check as server_warnings, failure_reasons};
pub use unknown_metrics::check as unknown_metrics;

use super::group::groups;
use super::{Aggregate, metrics};
use joulemark_experiment::report::Validation;
use joulemark_experiment::{Spec, Warning};
use joulemark_measurement::RankCycle;

/// Runs every check. The result's warnings begin with the given `warnings`.
pub fn validate(spec: &Spec, warnings: &[Warning], cycles: &[RankCycle], aggregate: &Aggregate) -> Validation {
    let groups = groups(cycles, &[]);
    let overlap = temporal_overlap::check(&groups);
    let attribution = gpu_attribution::check(cycles);
    let imbalance = imbalance::check(&groups);
    let found = [
        overlap.warning.into_iter().collect(),
        attribution.warning.into_iter().collect(),
        imbalance.warning.into_iter().collect(),
        output_identity::check(spec, cycles).into_iter().collect(),
        short_window::check(spec, cycles, &aggregate.cycles)
            .into_iter()
            .collect(),
        energy_quality::check(cycles, &aggregate.energy),
        unknown_metrics::check(metrics::all(), spec, aggregate.into()),
    ];
    Validation {
        temporal_overlap: overlap.outcome,
        overlap_ratio: overlap.ratio,
        gpu_attribution: attribution.outcome,
        imbalance_ratio: imbalance.ratio,
        warnings: warnings.iter().cloned().chain(found.into_iter().flatten()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::warning::warning;
    use super::*;
    use crate::aggregate;
    use crate::fixtures::{host_cycle, rank_cycle, spec};
    use joulemark_experiment::WarningCode;
    use joulemark_experiment::report::CheckOutcome;

    #[test]
    fn a_good_run_on_one_rank_warns_only_of_the_gpu_it_does_not_have() {
        let cycles = [
            rank_cycle(0, 0, 0.0, 10.0),
            rank_cycle(0, 1, 10.0, 20.0),
            rank_cycle(0, 2, 20.0, 30.0),
        ];
        let hosts = [
            host_cycle(0, 80.0, 10.0),
            host_cycle(1, 80.0, 10.0),
            host_cycle(2, 80.0, 10.0),
        ];
        let validation = validate(&spec(1, 3), &[], &cycles, &aggregate(&cycles, &hosts));
        assert_eq!(validation.temporal_overlap, CheckOutcome::NotApplicable);
        assert_eq!(validation.gpu_attribution, CheckOutcome::NotApplicable);
        assert_eq!((validation.overlap_ratio, validation.imbalance_ratio), (None, None));
        let messages: Vec<_> = validation
            .warnings
            .iter()
            .map(|warning| warning.message.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "peak_gpu_memory_bytes: no GPU was leased",
                "gpu_energy_j: no GPU was leased",
                "host_idle_energy_j: there is no idle baseline of the CPU: idle power was not measured",
                "gpu_power_w: no GPU was leased",
                "roofline: no peak rates of this CPU are known"
            ]
        );
    }

    #[test]
    fn warnings_known_before_come_first() {
        let cycles = [rank_cycle(0, 0, 0.0, 10.0)];
        let known = [warning(WarningCode::FewCycles, "only one cycle")];
        let validation = validate(&spec(1, 1), &known, &cycles, &aggregate(&cycles, &[]));
        assert_eq!(validation.warnings[0], known[0]);
        assert!(validation.warnings.len() > 1);
    }
}
