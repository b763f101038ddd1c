//! The measurements of one cycle, the unit of every sum. Owns which readings belong to which cycle; leaves the sums to
//! other modules.

use std::collections::BTreeMap;

use super::sums::whole;
use super::windows::union_sec;
pub use joulemark_experiment::report::CycleHost;
use joulemark_measurement::{EnergyMetrics, RankCycle, Window};

/// Measurements of one cycle.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// Number of the cycle, from 0.
    pub cycle: u32,
    /// Measurements of each rank.
    pub ranks: Vec<&'a RankCycle>,
    /// The host's energy; `None` where it was not read.
    pub host: Option<&'a EnergyMetrics>,
}

impl Group<'_> {
    /// Returns the window of each rank.
    pub fn windows(&self) -> Vec<Window> {
        self.ranks.iter().map(|rank| rank.window).collect()
    }
}

/// Groups measurements by cycle, in order of cycles.
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

/// Returns the sum over cycles of the union of the ranks' windows, in seconds; `None` without a cycle.
pub(super) fn duration_sec(groups: &[Group<'_>]) -> Option<f64> {
    whole(groups.iter().map(|group| Some(union_sec(&group.windows()))))
}
