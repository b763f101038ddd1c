use super::engine_pids::PidsOverTime;
use crate::scheduler::node::idle_baseline::BarePowers;
use joulemark_experiment::{Spec, Warning};
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::HostMeter;

/// What the sums of a run are drawn from, beside what its workers reported.
pub struct Measured<'a> {
    pub meter: &'a HostMeter,
    pub spec: &'a Spec,
    /// Of the submission.
    pub warnings: &'a [Warning],
    /// What the devices drew at rest, as known at the claim.
    pub bare: &'a BarePowers,
    /// What the energy is attributed to.
    pub pids: &'a PidsOverTime,
    pub claimed_at: Monotonic,
}
