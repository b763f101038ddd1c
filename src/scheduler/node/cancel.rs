//! Cancels experiments, on whatever node they run.

use std::time::Duration;

use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::{CancelOutcome, StoreError};

/// Maximum time in seconds that the answer to a cancellation waits for the run to end. The workers are killed at once.
const MAX_WAIT_SEC: f64 = 10.0;
/// Period at which the database is asked whether the run has ended, on whatever node it runs.
const POLL_PERIOD: Duration = Duration::from_millis(100);

/// Outcome of a request to cancel an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    Cancelled,
    AlreadyFinished(State),
    /// The cancellation is stored, but the run's node has not yet reported the end.
    Pending,
    NotFound,
}

impl Scheduler {
    /// Cancels an experiment. A run on this server is stopped at once; another server notices within a second or two.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn cancel(&self, id: ExperimentId) -> Result<CancelAnswer, StoreError> {
        let store = &self.context().resources.store;
        // First, since the database may be slow.
        if let Some(running) = self.running().get(id) {
            running.ends.cancel.cancel();
        }
        match store.cancel(id, clock::wall_now()).await? {
            CancelOutcome::NotFound => return Ok(CancelAnswer::NotFound),
            CancelOutcome::AlreadyFinished(state) => return Ok(CancelAnswer::AlreadyFinished(state)),
            CancelOutcome::Cancelled => {
                self.remove_position(id);
                self.count_finished(State::Cancelled, 1);
                return Ok(CancelAnswer::Cancelled);
            }
            CancelOutcome::Running => {}
        }
        let asked_at = Monotonic::now();
        loop {
            // Checked every time, since this server may have claimed it only now.
            if let Some(running) = self.running().get(id) {
                running.ends.cancel.cancel();
                let _ = tokio::time::timeout(POLL_PERIOD, running.ends.ended.cancelled()).await;
            } else {
                tokio::time::sleep(POLL_PERIOD).await;
            }
            match store.get(id).await?.map(|record| record.state) {
                None => return Ok(CancelAnswer::NotFound),
                Some(State::Cancelled) => return Ok(CancelAnswer::Cancelled),
                Some(state) if state.is_finished() => return Ok(CancelAnswer::AlreadyFinished(state)),
                Some(_) if Monotonic::now().sec_since(asked_at) > MAX_WAIT_SEC => return Ok(CancelAnswer::Pending),
                Some(_) => {}
            }
        }
    }
}
