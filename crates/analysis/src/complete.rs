//! Completion of stored results: figures that an earlier release did not store are computed from others when a result
//! is read, by the same functions as for new results.

use super::inference::output_throughput;
use super::repetition::statistics;
use super::statistics::standard_deviation;
use joulemark_experiment::report::{CycleReport, CycleSpread, Report};
use joulemark_measurement::{EnergyMetrics, InferenceMetrics, RankCycle};

/// Computes the figures that a report of an earlier release lacks.
pub fn complete_report(report: &mut Report) {
    complete(&mut report.inference, &mut report.energy);
    report.cycles.iter_mut().for_each(complete_cycle);
    report.cycle_sd = cycle_spread(&report.cycles);
    if report.statistics.is_empty() {
        report.statistics = statistics(&report.cycles_of_statistics());
    }
}

/// Computes the figures that a cycle of an earlier release's report lacks.
pub(super) fn complete_cycle(cycle: &mut CycleReport) {
    complete(&mut cycle.inference, &mut cycle.energy);
}

/// Computes the figures that a rank's cycle of an earlier release lacks.
pub fn complete_rank_cycle(cycle: &mut RankCycle) {
    complete(&mut cycle.inference, &mut cycle.energy);
}

/// Computes output throughput and the half-widths of energies.
fn complete(inference: &mut InferenceMetrics, energy: &mut EnergyMetrics) {
    inference.output_throughput = output_throughput(inference.output_tokens, inference.inference_time_sec);
    energy.set_uncertainties();
}

/// Returns the standard deviation of the cycles' figures; each is `None` below two cycles, or where a cycle's figure is
/// unknown.
pub(super) fn cycle_spread(cycles: &[CycleReport]) -> CycleSpread {
    let spread = |figure: fn(&CycleReport) -> Option<f64>| {
        let figures: Option<Vec<f64>> = cycles.iter().map(figure).collect();
        standard_deviation(&figures?)
    };
    CycleSpread {
        output_throughput: spread(|cycle| cycle.inference.output_throughput),
        tokens_per_second: spread(|cycle| cycle.inference.tokens_per_second),
        mean_ttft_ms: spread(|cycle| cycle.inference.mean_ttft_ms),
        mean_tpot_ms: spread(|cycle| cycle.inference.mean_tpot_ms),
        total_energy_j: spread(|cycle| cycle.energy.total_energy_j),
        joules_per_output_token: spread(|cycle| cycle.efficiency.joules_per_output_token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate;
    use crate::fixtures::{host_cycle, rank_cycle};

    #[test]
    fn the_output_of_two_processes_is_the_systems_and_not_their_mean() {
        // Each generates 4 tokens in 8 s, and both run for 4 of these seconds.
        let cycles = [rank_cycle(0, 0, 0.0, 8.0), rank_cycle(1, 0, 4.0, 12.0)];
        let found = aggregate(&cycles, &[]).inference;
        assert_eq!(found.tokens_per_second, Some(0.5), "the mean over ranks");
        assert_eq!(found.output_throughput, Some(8.0 / 12.0), "all tokens over the union");
    }

    #[test]
    fn one_process_differs_from_its_mean_where_its_cycles_are_uneven() {
        let cycles = [rank_cycle(0, 0, 0.0, 2.0), rank_cycle(0, 1, 10.0, 18.0)];
        let found = aggregate(&cycles, &[]);
        assert_eq!(found.inference.tokens_per_second, Some(1.25), "(2 + 0.5) / 2");
        assert_eq!(
            found.inference.output_throughput,
            Some(0.8),
            "8 / 10: the slow cycle weighs more"
        );
        assert_eq!(found.cycles[0].inference.output_throughput, Some(2.0));
    }

    #[test]
    fn the_spread_is_over_cycles_and_unknown_below_two() {
        let cycles = [rank_cycle(0, 0, 0.0, 2.0), rank_cycle(0, 1, 10.0, 18.0)];
        let found = cycle_spread(&aggregate(&cycles, &[]).cycles);
        assert!((found.tokens_per_second.unwrap() - 1.5 / 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(
            cycle_spread(&aggregate(&cycles[..1], &[]).cycles),
            CycleSpread::default()
        );
    }

    #[test]
    fn half_widths_of_one_sensor_are_added_over_cycles_and_shared_out() {
        let cycles = [rank_cycle(0, 0, 0.0, 10.0), rank_cycle(0, 1, 10.0, 20.0)];
        let energy = aggregate(&cycles, &[host_cycle(0, 80.0, 10.0), host_cycle(1, 80.0, 10.0)]).energy;
        assert_eq!(energy.host_cpu_energy_uncertainty_j, Some(2.0), "1 J in each cycle");
        assert_eq!(energy.cpu_energy_uncertainty_j, Some(0.5), "40 J of 160 J");
        assert_eq!(energy.total_energy_uncertainty_j, None, "that of the memory is unknown");
    }
}
