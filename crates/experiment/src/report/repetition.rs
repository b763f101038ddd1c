use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Warning;

/// What was repeated for the statistics, and which cycles others disturbed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RepetitionReport {
    pub level: RepetitionLevel,
    /// Cycles that others disturbed. They stay in the result: in `cycles`, in the raw data and in every sum.
    pub disturbed_cycles: Vec<DisturbedCycle>,
    /// How many cycles were measured beyond `num_cycles`, because others had been disturbed (`repeat_disturbed`).
    pub repeated_cycles: u32,
    /// Cycles that `statistics`, the stop rule and comparisons leave out: with `repeat_disturbed` those that were disturbed, as long as
    /// two others are left; else none.
    pub left_out_of_statistics: Vec<u32>,
}

/// A cycle that others disturbed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DisturbedCycle {
    /// From 0.
    pub cycle: u32,
    /// By what, at least one.
    pub reasons: Vec<Warning>,
}

/// At which level repetition is done.
///
/// - `cycle`: cycles of the same processes: what a process is given once by chance, as where its memory lies, is not in their scatter
/// - `process`: each cycle is of fresh processes (`process_per_cycle`)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepetitionLevel {
    #[default]
    Cycle,
    Process,
}
