use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Warning;

/// The repetition of the experiment for the statistics, and the disturbed cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepetitionReport {
    pub level: RepetitionLevel,
    /// Cycles that were disturbed. They stay in the result: in `cycles`, in the raw data and in every sum.
    pub disturbed_cycles: Vec<DisturbedCycle>,
    /// Number of cycles that were measured beyond `num_cycles` because others had been disturbed (`repeat_disturbed`).
    pub repeated_cycles: u32,
    /// Cycles that `statistics`, the stop rule and comparisons leave out: with `repeat_disturbed` the disturbed ones,
    /// as long as at least two others remain; otherwise none.
    pub left_out_of_statistics: Vec<u32>,
}

/// A cycle that was disturbed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DisturbedCycle {
    /// Number of the cycle, from 0.
    pub cycle: u32,
    /// What disturbed it, at least one entry.
    pub reasons: Vec<Warning>,
}

/// The level at which measurements are repeated.
///
/// - `cycle`: cycles of the same processes; their spread does not include effects that are constant within a process,
///   such as memory layout
/// - `process`: each cycle runs in new processes (`process_per_cycle`)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepetitionLevel {
    #[default]
    Cycle,
    Process,
}
