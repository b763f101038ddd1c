//! Announces to other servers that an experiment waits to run alone on the host.

use std::sync::{Mutex, PoisonError};

use super::device_locks::{LockFolder, Locks};
use joulemark_experiment::ExperimentId;

/// The host-wanted lock of this server, held while one of its experiments waits to run alone on the host. It keeps
/// other experiments, also those of other servers, from starting.
#[derive(Debug, Default)]
pub struct HostQueue(Mutex<Option<(ExperimentId, Locks)>>);

impl HostQueue {
    /// Holds the lock for `first`, the experiment that waits to run alone; with `None` releases it.
    pub fn waits(&self, first: Option<ExperimentId>, folder: &LockFolder) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().map(|(id, _)| *id) == first {
            return;
        }
        *held = None;
        // Busy when an experiment of another server waits for this host, which then goes first.
        *held = first.and_then(|id| Some((id, folder.want_host().ok()?)));
    }
}
