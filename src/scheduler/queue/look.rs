use super::leases::Lease;
use super::places::Places;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;

/// For so long one look answers all who ask.
const FRESH_SEC: f64 = 1.0;
/// However slow the database is.
const MAX_FRESH_SEC: f64 = 10.0;
/// A queue of 100,000 takes a good part of a second to read: no more than a twentieth of one CPU goes into looks, which
/// experiments are measured beside.
const FRESH_FOR_COST: f64 = 20.0;

/// The whole queue and who has what, as of one moment: what those are told from who ask where they stand.
#[derive(Debug, Default)]
pub struct QueueLook {
    /// `None` before anything was looked at.
    pub at: Option<Monotonic>,
    pub took_sec: f64,
    pub places: Places,
    /// What runs, with its node, by the database.
    pub running: Vec<(String, ExperimentId)>,
    /// Devices of this host that somebody else has the lock of, with the process where it is known.
    pub elsewhere: Vec<(Lease, Option<u32>)>,
    /// Whether an experiment has this host alone, or waits to.
    pub is_host_taken: bool,
}

impl QueueLook {
    /// Tells whether it answers who asks now.
    pub fn is_fresh(&self, now: Monotonic) -> bool {
        let lasts_sec = (FRESH_FOR_COST * self.took_sec).clamp(FRESH_SEC, MAX_FRESH_SEC);
        self.at.is_some_and(|at| now.sec_since(at) < lasts_sec)
    }
}
