use jiff::Timestamp;

use super::moves::set_state;
use super::record::to_us;
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, State};

/// The result of a request to cancel an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It was queued and is now cancelled.
    Cancelled,
    /// It is running. The request is stored; the server that runs it must stop it and call `finish_cancelled`.
    Running,
    /// It had ended in this state before.
    AlreadyFinished(State),
    NotFound,
}

impl Store {
    /// Cancels a queued experiment. For a running one it stores the request, which survives a restart of the server:
    /// the experiment is not queued again.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn cancel(&self, id: ExperimentId, now: Timestamp) -> Result<CancelOutcome, StoreError> {
        let mut transaction = self.begin().await?;
        let Some(progress) = self.lock(&mut transaction, id).await? else {
            return Ok(CancelOutcome::NotFound);
        };
        let outcome = match progress.state {
            finished if finished.is_finished() => return Ok(CancelOutcome::AlreadyFinished(finished)),
            State::Queued => {
                set_state(&mut transaction, id, (State::Cancelled, None), now).await?;
                CancelOutcome::Cancelled
            }
            _ => {
                sqlx::query("UPDATE experiments SET cancel_requested_at_us = $1, updated_at_us = $1 WHERE id = $2")
                    .bind(to_us(now))
                    .bind(id.to_string())
                    .execute(&mut *transaction)
                    .await?;
                // The server that runs the experiment reads this column every second.
                sqlx::query("UPDATE leases SET is_cancel_requested = 1 WHERE experiment_id = $1")
                    .bind(id.to_string())
                    .execute(&mut *transaction)
                    .await?;
                CancelOutcome::Running
            }
        };
        self.commit_moves(transaction).await?;
        Ok(outcome)
    }
}
