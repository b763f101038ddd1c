//! What a report is computed from besides the requests. It is stored with the report, so that the report can be
//! recomputed.

use joulemark_measurement::{BaselineKind, EnergyMetrics, IdlePower};
use serde::{Deserialize, Serialize};

use super::Tariff;
use crate::Warning;

/// The meter's readings of the host, and the warnings that were known before any figure was computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    pub hosts: Vec<CycleHost>,
    pub idle: Vec<IdleState>,
    /// Number of prompts that were cut to `max_input_tokens`, over all ranks.
    pub truncated_prompts: u32,
    /// Warnings from the submission and about disturbed cycles.
    pub warnings: Vec<Warning>,
    /// The figures that cost and carbon are computed from.
    #[serde(default)]
    pub tariff: Tariff,
}

/// The host meter's energy of one cycle, from the first rank's start to the last rank's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CycleHost {
    pub cycle: u32,
    pub energy: EnergyMetrics,
}

/// Idle power of one kind, as it was known before the cycles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleState {
    pub kind: BaselineKind,
    /// Idle power of every source of the host that was read, including those that the experiment does not use.
    pub powers: Vec<IdlePower>,
    /// The reason to state where a power is missing.
    pub why_missing: String,
}
