use std::sync::{Mutex, PoisonError};

use super::device_locks::{LockFolder, Locks};
use joulemark_experiment::ExperimentId;

/// The lock by which an experiment that waits to have the host alone keeps others out, also those of other servers.
#[derive(Debug, Default)]
pub struct HostQueue(Mutex<Option<(ExperimentId, Locks)>>);

impl HostQueue {
    /// Only `first` waits for the host; none gives the lock up.
    pub fn waits(&self, first: Option<ExperimentId>, folder: &LockFolder) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().map(|(id, _)| *id) == first {
            return;
        }
        *held = None;
        // Busy: another server's experiment waits for this host, and goes first.
        *held = first.and_then(|id| Some((id, folder.want_host().ok()?)));
    }
}
