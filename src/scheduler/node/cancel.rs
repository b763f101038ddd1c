use std::time::Duration;

use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::{CancelOutcome, StoreError};

/// How long a cancel's answer waits for the run to end; the workers themselves are killed at once.
const PATIENCE_SEC: f64 = 10.0;
/// The database is asked this often whether the run has ended, wherever it is.
const LOOK_PERIOD: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    Cancelled,
    AlreadyFinished(State),
    /// The wish is stored, and its node has not yet said that the run has ended.
    Pending,
    NotFound,
}

impl Scheduler {
    /// Stops it at once where it runs on this server; another one hears of it within a second or two.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(&self, id: ExperimentId) -> Result<CancelAnswer, StoreError> {
        let store = &self.context().resources.store;
        // Before the database, which may be slow: what runs here is stopped at once.
        if let Some(running) = self.running().get(id) {
            running.ends.cancel.cancel();
        }
        match store.cancel(id, clock::wall_now()).await? {
            CancelOutcome::NotFound => return Ok(CancelAnswer::NotFound),
            CancelOutcome::AlreadyFinished(state) => return Ok(CancelAnswer::AlreadyFinished(state)),
            CancelOutcome::Cancelled => {
                self.waits_no_longer(id);
                self.count_finished(State::Cancelled, 1);
                return Ok(CancelAnswer::Cancelled);
            }
            CancelOutcome::Running => {}
        }
        let asked_at = Monotonic::now();
        loop {
            // Every time, since it may have been claimed only now.
            if let Some(running) = self.running().get(id) {
                running.ends.cancel.cancel();
                let _ = tokio::time::timeout(LOOK_PERIOD, running.ends.ended.cancelled()).await;
            } else {
                tokio::time::sleep(LOOK_PERIOD).await;
            }
            match store.get(id).await?.map(|record| record.state) {
                None => return Ok(CancelAnswer::NotFound),
                Some(State::Cancelled) => return Ok(CancelAnswer::Cancelled),
                Some(state) if state.is_finished() => return Ok(CancelAnswer::AlreadyFinished(state)),
                Some(_) if Monotonic::now().sec_since(asked_at) > PATIENCE_SEC => return Ok(CancelAnswer::Pending),
                Some(_) => {}
            }
        }
    }
}
