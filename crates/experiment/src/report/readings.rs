//! What a report is computed from beside the requests: kept with it, so that whoever has both computes it anew.

use joulemark_measurement::{BaselineKind, EnergyMetrics, IdlePower};
use serde::{Deserialize, Serialize};

use super::Tariff;
use crate::Warning;

/// What the meter read of the host, and what was warned of before any figure was computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    pub hosts: Vec<CycleHost>,
    pub idle: Vec<IdleState>,
    /// Prompts cut to `max_input_tokens`, over all ranks.
    pub truncated_prompts: u32,
    /// Of the submission, and of what disturbed the cycles.
    pub warnings: Vec<Warning>,
    /// What cost and carbon are computed by.
    #[serde(default)]
    pub tariff: Tariff,
}

/// The host meter's reading over one cycle, from the first rank's start to the last rank's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CycleHost {
    pub cycle: u32,
    pub energy: EnergyMetrics,
}

/// Idle power of one kind as it was known before the cycles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdleState {
    pub kind: BaselineKind,
    /// Of every source of the host that was read; more than the experiment's own.
    pub powers: Vec<IdlePower>,
    /// Said where a power is missing.
    pub why_missing: String,
}
