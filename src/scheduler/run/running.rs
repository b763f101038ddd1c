//! The experiments that this server runs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::scheduler::queue::leases::Lease;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::Held;

/// The experiments of this server: entered before the claim, removed when their devices are free again.
#[derive(Clone, Debug, Default)]
pub struct RunningTable(Arc<Mutex<HashMap<ExperimentId, Running>>>);

/// An experiment that this server runs or is about to claim.
#[derive(Clone, Debug)]
pub struct Running {
    /// `None` until the claim has succeeded.
    pub attempt: Option<u32>,
    pub claimed_at: Monotonic,
    pub leases: BTreeSet<Lease>,
    pub ends: Ends,
}

/// Tokens that end a run or report its end.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Cancelled when a client asks to cancel the experiment.
    pub cancel: CancellationToken,
    /// Cancelled when another attempt has the experiment.
    pub lost: CancellationToken,
    /// Cancelled when no worker is left and the end is stored.
    pub ended: CancellationToken,
}

impl RunningTable {
    fn table(&self) -> MutexGuard<'_, HashMap<ExperimentId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an experiment that is about to be claimed.
    pub fn insert(&self, id: ExperimentId, running: Running) {
        self.table().insert(id, running);
    }

    /// Records that an experiment was claimed.
    pub fn claimed(&self, id: ExperimentId, attempt: u32) {
        if let Some(running) = self.table().get_mut(&id) {
            running.attempt = Some(attempt);
        }
    }

    /// Removes an experiment. Returns whether the table is empty now.
    pub fn remove(&self, id: ExperimentId) -> bool {
        let mut table = self.table();
        table.remove(&id);
        table.is_empty()
    }

    /// Returns an experiment of this server.
    pub fn get(&self, id: ExperimentId) -> Option<Running> {
        self.table().get(&id).cloned()
    }

    /// Returns all experiments of this server.
    pub fn all(&self) -> HashMap<ExperimentId, Running> {
        self.table().clone()
    }

    /// Returns the experiment that holds each leased device.
    pub fn leases(&self) -> HashMap<Lease, ExperimentId> {
        let table = self.table();
        let each = table
            .iter()
            .flat_map(|(id, running)| running.leases.iter().map(|lease| (lease.clone(), *id)));
        each.collect()
    }

    /// Returns all leased devices.
    pub fn leased(&self) -> HashSet<Lease> {
        self.leases().into_keys().collect()
    }

    /// Compares the claims that this server holds in the database with what it ran before it asked. Stops a run that
    /// another attempt has taken over or a user has cancelled. Returns the claims that it does not run: the answer to
    /// the claim was lost, or the end could not be stored.
    pub fn reconcile(&self, held: &[Held], before: &HashMap<ExperimentId, Running>) -> Vec<Held> {
        for (id, running) in before {
            let own = held
                .iter()
                .find(|held| held.id == *id && Some(held.attempt) == running.attempt);
            match (own, running.attempt) {
                (Some(held), _) if held.is_cancel_requested => running.ends.cancel.cancel(),
                (None, Some(_)) => running.ends.lost.cancel(),
                _ => {}
            }
        }
        let table = self.table();
        let is_run = |held: &&Held| before.contains_key(&held.id) || table.contains_key(&held.id);
        held.iter().filter(|held| !is_run(held)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(id: ExperimentId, attempt: u32, is_cancel_requested: bool) -> Held {
        Held {
            id,
            attempt,
            is_cancel_requested,
        }
    }

    fn running(attempt: Option<u32>) -> Running {
        Running {
            attempt,
            claimed_at: Monotonic(0),
            leases: BTreeSet::new(),
            ends: Ends::default(),
        }
    }

    #[test]
    fn lost_and_cancelled_runs_are_stopped_and_claims_without_a_run_are_found() {
        let table = RunningTable::default();
        let ids: Vec<ExperimentId> = (0..6).map(|_| ExperimentId::generate()).collect();
        // Still held, cancelled, taken over by a later attempt, not held, being claimed.
        for (id, attempt) in ids.iter().zip([Some(1), Some(1), Some(1), Some(2), None]) {
            table.insert(*id, running(attempt));
        }
        let before = table.all();
        let held_now = [
            held(ids[0], 1, false),
            held(ids[1], 1, true),
            held(ids[2], 2, false),
            held(ids[5], 1, false),
        ];
        assert_eq!(table.reconcile(&held_now, &before), [held(ids[5], 1, false)]);
        let ends = |index: usize| table.get(ids[index]).expect("it runs").ends;
        let cancelled = [0, 1, 2, 3, 4].map(|index| ends(index).cancel.is_cancelled());
        let lost = [0, 1, 2, 3, 4].map(|index| ends(index).lost.is_cancelled());
        assert_eq!(cancelled, [false, true, false, false, false]);
        assert_eq!(lost, [false, false, true, true, false]);
    }

    #[test]
    fn a_run_that_ended_while_the_database_was_asked_is_not_returned() {
        let table = RunningTable::default();
        let id = ExperimentId::generate();
        table.insert(id, running(Some(1)));
        let before = table.all();
        assert!(table.remove(id));
        assert_eq!(table.reconcile(&[held(id, 1, false)], &before), []);
    }
}
