use super::group::{CycleHost, Group, groups};
use super::{compute, efficiency, energy, inference};
use joulemark_experiment::report::{CycleReport, EfficiencyMetrics};
use joulemark_measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics, RankCycle};

/// Metrics of the whole experiment and of each cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub efficiency: EfficiencyMetrics,
    pub cycles: Vec<CycleReport>,
}

/// Aggregates the metrics of ranks and cycles. Host figures and CPU sources come only from `hosts`: every rank reports
/// the same joules, and summing them would count them several times.
pub fn aggregate(cycles: &[RankCycle], hosts: &[CycleHost]) -> Aggregate {
    let groups = groups(cycles, hosts);
    let reports = groups.iter().map(|group| {
        let (inference, energy, compute, efficiency) = metrics(std::slice::from_ref(group));
        CycleReport {
            cycle: group.cycle,
            inference,
            energy,
            compute,
            efficiency,
        }
    });
    let (inference, energy, compute, efficiency) = metrics(&groups);
    Aggregate {
        inference,
        energy,
        compute,
        efficiency,
        cycles: reports.collect(),
    }
}

/// Computes the metrics over some cycles.
fn metrics(groups: &[Group<'_>]) -> (InferenceMetrics, EnergyMetrics, ComputeMetrics, EfficiencyMetrics) {
    let (inference, energy, compute) = (
        inference::aggregate(groups),
        energy::aggregate(groups),
        compute::aggregate(groups),
    );
    let efficiency = efficiency(&inference, &energy, &compute);
    (inference, energy, compute, efficiency)
}

#[cfg(test)]
mod tests;
