use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::scheduler::queue::leases::Lease;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::Held;

/// What this server runs, entered before it is claimed and gone when its devices are free again.
#[derive(Clone, Debug, Default)]
pub struct RunningTable(Arc<Mutex<HashMap<ExperimentId, Running>>>);

/// One experiment that this server runs, or is about to.
#[derive(Clone, Debug)]
pub struct Running {
    /// Null until the claim is known to have succeeded.
    pub attempt: Option<u32>,
    pub claimed_at: Monotonic,
    pub leases: BTreeSet<Lease>,
    pub ends: Ends,
}

/// The ways in which a run is told, or tells, that it is over.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Somebody asked for its cancellation.
    pub cancel: CancellationToken,
    /// Another attempt has the experiment.
    pub lost: CancellationToken,
    /// No worker is left and its end is stored.
    pub ended: CancellationToken,
}

impl RunningTable {
    fn table(&self) -> MutexGuard<'_, HashMap<ExperimentId, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn insert(&self, id: ExperimentId, running: Running) {
        self.table().insert(id, running);
    }

    pub fn claimed(&self, id: ExperimentId, attempt: u32) {
        if let Some(running) = self.table().get_mut(&id) {
            running.attempt = Some(attempt);
        }
    }

    /// Whether nothing is left.
    pub fn remove(&self, id: ExperimentId) -> bool {
        let mut table = self.table();
        table.remove(&id);
        table.is_empty()
    }

    pub fn get(&self, id: ExperimentId) -> Option<Running> {
        self.table().get(&id).cloned()
    }

    pub fn all(&self) -> HashMap<ExperimentId, Running> {
        self.table().clone()
    }

    /// Which experiment has each leased device.
    pub fn leases(&self) -> HashMap<Lease, ExperimentId> {
        let table = self.table();
        let each = table
            .iter()
            .flat_map(|(id, running)| running.leases.iter().map(|lease| (lease.clone(), *id)));
        each.collect()
    }

    pub fn leased(&self) -> HashSet<Lease> {
        self.leases().into_keys().collect()
    }

    /// Compares what the database says that this server holds with what it ran before it asked: stops what another
    /// attempt took or a user cancelled. What it holds and does not run is returned: a claim whose answer was lost, or
    /// an end that could not be stored.
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
    fn what_was_lost_or_cancelled_is_stopped_and_what_nobody_runs_is_found() {
        let table = RunningTable::default();
        let ids: Vec<ExperimentId> = (0..6).map(|_| ExperimentId::generate()).collect();
        // Kept, cancelled, taken by a later attempt, not held at all, being claimed.
        for (id, attempt) in ids.iter().zip([Some(1), Some(1), Some(1), Some(2), None]) {
            table.insert(*id, running(attempt));
        }
        let before = table.all();
        let says = [
            held(ids[0], 1, false),
            held(ids[1], 1, true),
            held(ids[2], 2, false),
            held(ids[5], 1, false),
        ];
        assert_eq!(table.reconcile(&says, &before), [held(ids[5], 1, false)]);
        let ends = |index: usize| table.get(ids[index]).expect("it runs").ends;
        let cancelled = [0, 1, 2, 3, 4].map(|index| ends(index).cancel.is_cancelled());
        let lost = [0, 1, 2, 3, 4].map(|index| ends(index).lost.is_cancelled());
        assert_eq!(cancelled, [false, true, false, false, false]);
        assert_eq!(lost, [false, false, true, true, false]);
    }

    #[test]
    fn what_ended_while_the_database_was_asked_is_not_given_back() {
        let table = RunningTable::default();
        let id = ExperimentId::generate();
        table.insert(id, running(Some(1)));
        let before = table.all();
        assert!(table.remove(id));
        assert_eq!(table.reconcile(&[held(id, 1, false)], &before), []);
    }
}
