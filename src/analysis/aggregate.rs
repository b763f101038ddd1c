use std::collections::BTreeMap;

use super::{compute, efficiency, energy, inference};
use crate::measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics, RankCycle, Window};
use crate::report::{CycleReport, EfficiencyMetrics};

/// The host meter's reading over one cycle, from the first rank's start to the last rank's end.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleHost {
    pub cycle: u32,
    pub energy: EnergyMetrics,
}

/// Sums and ratios of the whole experiment, and the same groups for each cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub efficiency: EfficiencyMetrics,
    pub cycles: Vec<CycleReport>,
}

/// Sums over ranks and cycles. Host figures and CPU sources come from `hosts` alone: taken from the ranks, the same
/// joules would count once for each.
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

fn metrics(groups: &[Group<'_>]) -> (InferenceMetrics, EnergyMetrics, ComputeMetrics, EfficiencyMetrics) {
    let (inference, energy, compute) = (inference::over(groups), energy::over(groups), compute::over(groups));
    let efficiency = efficiency(&inference, &energy, &compute);
    (inference, energy, compute, efficiency)
}

/// What was measured in one cycle.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub cycle: u32,
    pub ranks: Vec<&'a RankCycle>,
    pub host: Option<&'a EnergyMetrics>,
}

impl Group<'_> {
    pub fn windows(&self) -> Vec<Window> {
        self.ranks.iter().map(|rank| rank.window).collect()
    }
}

/// One group a cycle, in order of cycles.
pub(super) fn groups<'a>(cycles: &'a [RankCycle], hosts: &'a [CycleHost]) -> Vec<Group<'a>> {
    let mut ranks: BTreeMap<u32, Vec<&RankCycle>> = BTreeMap::new();
    for cycle in cycles {
        ranks.entry(cycle.cycle).or_default().push(cycle);
    }
    let host = |cycle| hosts.iter().find(|host| host.cycle == cycle).map(|host| &host.energy);
    ranks
        .into_iter()
        .map(|(cycle, ranks)| Group {
            cycle,
            ranks,
            host: host(cycle),
        })
        .collect()
}

#[cfg(test)]
mod tests;
