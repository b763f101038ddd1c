//! What the workers of one run reported.

use std::collections::BTreeSet;

use joulemark_analysis::{LimitChange, hull};
use joulemark_experiment::report::{CycleStart, DisturbedCycle, ModelFacts, StopReport};
use joulemark_measurement::{
    FailedRequest, LoadGenerator, LoadReport, RequestMeasurement, ServerReport, WarmUpReport, Window,
};
use joulemark_power_control::SetBoard;

/// One rank's part of one cycle as the worker reported it.
#[derive(Clone, Debug)]
pub struct RankPass {
    pub rank: u32,
    pub cycle: u32,
    pub window: Window,
    pub requests: Vec<RequestMeasurement>,
    /// Requests to a server that have no answer to be counted.
    pub failed: Vec<FailedRequest>,
    pub load_generator: Option<LoadGenerator>,
    pub server_report: Option<ServerReport>,
    /// Most resident memory of the rank's processes, as far as they can be told.
    pub peak_host_memory_bytes: Option<u64>,
}

/// All that the workers reported.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    pub loads: Vec<LoadReport>,
    /// GPUs whose power limit or clocks were set for this run.
    pub boards: Vec<SetBoard>,
    /// Each rank's warm-up.
    pub warm_ups: Vec<(u32, Window)>,
    /// How each cycle waited for its GPUs to cool.
    pub cycle_starts: Vec<CycleStart>,
    /// Cycles that are not counted, since somebody changed a power limit in them.
    pub limit_changes: Vec<LimitChange>,
    /// How the stop rule ended the cycles.
    pub stop: Option<StopReport>,
    /// What the stop rule has seen of each cycle; `None` where it is not known.
    pub seen: Vec<Option<f64>>,
    /// Cycles that others disturbed, where they were looked for as soon as they were driven.
    pub disturbed: Vec<DisturbedCycle>,
    /// Tokens of processes that have ended, and of those with the ones that run.
    pub ended_tokens: u64,
    pub tokens: u64,
    /// How each rank was warmed up, where it says so.
    pub warm_up_reports: Vec<WarmUpReport>,
    /// The model in memory and nobody computing, before the cycles; null when it was not asked for.
    pub loaded_idle: Option<Window>,
    pub passes: Vec<RankPass>,
    pub truncated_prompts: u32,
    /// When the first rank began to load, CLOCK_MONOTONIC.
    pub load_started_monotonic_sec: Option<f64>,
    /// The model that was run; `None` until it was loaded.
    pub facts: Option<ModelFacts>,
}

impl Driven {
    pub fn windows_of(&self, cycle: u32) -> Vec<Window> {
        self.passes
            .iter()
            .filter(|pass| pass.cycle == cycle)
            .map(|pass| pass.window)
            .collect()
    }

    /// Drops what a cycle measured, in which a power limit was changed.
    pub fn forget(&mut self, cycle: u32, change: LimitChange) {
        self.passes.retain(|pass| pass.cycle != cycle);
        self.limit_changes.push(change);
    }

    /// Lists the cycles that were driven, in order.
    pub fn cycles(&self) -> BTreeSet<u32> {
        self.passes.iter().map(|pass| pass.cycle).collect()
    }

    /// Returns the number of the cycle that comes next.
    pub fn next_cycle(&self) -> u32 {
        self.passes.iter().map(|pass| pass.cycle + 1).max().unwrap_or(0)
    }

    pub fn hull_of(&self, cycle: u32) -> Option<Window> {
        hull(&self.windows_of(cycle))
    }
}
