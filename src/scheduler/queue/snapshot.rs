//! Snapshot of the queue, and how long it stays valid.

use super::leases::Lease;
use super::positions::Positions;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;

/// Minimum time in seconds for which one snapshot answers requests.
const FRESH_SEC: f64 = 1.0;
/// Maximum of that time, however slow the database is.
const MAX_FRESH_SEC: f64 = 10.0;
/// Lifetime of a snapshot relative to the time that it took. Thus at most a twentieth of one CPU goes into snapshots,
/// since experiments are measured on the same host; a queue of 100,000 takes a good part of a second to read.
const FRESH_FOR_COST: f64 = 20.0;

/// Snapshot of the whole queue and of the devices in use, from which requests about queue positions are answered.
#[derive(Debug, Default)]
pub struct QueueSnapshot {
    /// Time of the snapshot; `None` before the first one.
    pub at: Option<Monotonic>,
    pub took_sec: f64,
    pub positions: Positions,
    /// Running experiments in the database, each with its node.
    pub running: Vec<(String, ExperimentId)>,
    /// Devices of this host that another process has locked, with that process where it is known.
    pub elsewhere: Vec<(Lease, Option<u32>)>,
    /// Whether an experiment runs alone on this host, or waits to.
    pub is_host_taken: bool,
}

impl QueueSnapshot {
    /// Returns whether the snapshot is recent enough to answer a request now.
    pub fn is_fresh(&self, now: Monotonic) -> bool {
        let lasts_sec = (FRESH_FOR_COST * self.took_sec).clamp(FRESH_SEC, MAX_FRESH_SEC);
        self.at.is_some_and(|at| now.sec_since(at) < lasts_sec)
    }
}
