//! Inputs to the report of a run.

use super::engine_pids::PidsOverTime;
use crate::scheduler::node::idle_baseline::BarePowers;
use joulemark_experiment::{Spec, Warning};
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// Inputs to the report of a run, in addition to what its workers reported.
pub struct Measured<'a> {
    pub meter: &'a HostMeter,
    pub spec: &'a Spec,
    /// Warnings of the submission.
    pub warnings: &'a [Warning],
    /// Idle power of the devices as known at the claim.
    pub bare: &'a BarePowers,
    /// Processes that the energy is attributed to.
    pub pids: &'a PidsOverTime,
    pub claimed_at: Monotonic,
}
