//! Collects what the workers of one run report.

use std::collections::BTreeSet;

use joulemark_analysis::{LimitChange, hull};
use joulemark_experiment::report::{CycleStart, DisturbedCycle, ModelFacts, StopReport};
use joulemark_measurement::{
    FailedRequest, LoadGenerator, LoadReport, RequestMeasurement, ServerReport, WarmUpReport, Window,
};
use joulemark_power_control::SetBoard;

/// One rank's part of a cycle, as the worker reports it.
#[derive(Clone, Debug)]
pub struct RankPass {
    pub rank: u32,
    pub cycle: u32,
    pub window: Window,
    pub requests: Vec<RequestMeasurement>,
    /// Requests to a server that failed and are not counted.
    pub failed: Vec<FailedRequest>,
    pub load_generator: Option<LoadGenerator>,
    pub server_report: Option<ServerReport>,
    /// Peak resident memory in bytes of the rank's processes; `None` when they are unknown.
    pub peak_host_memory_bytes: Option<u64>,
}

/// Everything that the workers of a run have reported so far, with what the scheduler noticed about the cycles.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    pub loads: Vec<LoadReport>,
    /// GPUs whose power limit or clocks were set for this run.
    pub boards: Vec<SetBoard>,
    /// Warm-up window of each rank.
    pub warm_ups: Vec<(u32, Window)>,
    /// How long each cycle waited for its GPUs, and in which state it started.
    pub cycle_starts: Vec<CycleStart>,
    /// Changes of a power limit by another program. Their cycles are discarded.
    pub limit_changes: Vec<LimitChange>,
    /// Last decision of the stop rule; `None` before the first cycle or without a rule.
    pub stop: Option<StopReport>,
    /// Value of the stop rule's metric in each cycle; `None` when it is unknown.
    pub seen: Vec<Option<f64>>,
    /// Disturbed cycles. Filled only when the experiment repeats disturbed cycles.
    pub disturbed: Vec<DisturbedCycle>,
    /// Tokens of processes that have ended.
    pub ended_tokens: u64,
    /// Tokens of all processes.
    pub tokens: u64,
    /// Warm-up report of each rank that sends one.
    pub warm_up_reports: Vec<WarmUpReport>,
    /// Window of the loaded idle baseline, before the cycles; `None` when the experiment asks for none.
    pub loaded_idle: Option<Window>,
    pub passes: Vec<RankPass>,
    pub truncated_prompts: u32,
    /// Time at which the first rank began to load, by CLOCK_MONOTONIC.
    pub load_started_monotonic_sec: Option<f64>,
    /// Facts about the model; `None` until it is loaded.
    pub facts: Option<ModelFacts>,
}

impl Driven {
    /// Returns the window of each rank in a cycle.
    pub fn windows_of(&self, cycle: u32) -> Vec<Window> {
        self.passes
            .iter()
            .filter(|pass| pass.cycle == cycle)
            .map(|pass| pass.window)
            .collect()
    }

    /// Discards the measurements of a cycle in which a power limit was changed.
    pub fn discard(&mut self, cycle: u32, change: LimitChange) {
        self.passes.retain(|pass| pass.cycle != cycle);
        self.limit_changes.push(change);
    }

    /// Returns the numbers of the measured cycles, in order.
    pub fn cycles(&self) -> BTreeSet<u32> {
        self.passes.iter().map(|pass| pass.cycle).collect()
    }

    /// Returns the number of the next cycle.
    pub fn next_cycle(&self) -> u32 {
        self.passes.iter().map(|pass| pass.cycle + 1).max().unwrap_or(0)
    }

    /// Returns the window from the first start to the last end of a cycle; `None` when it was not measured.
    pub fn hull_of(&self, cycle: u32) -> Option<Window> {
        hull(&self.windows_of(cycle))
    }
}
