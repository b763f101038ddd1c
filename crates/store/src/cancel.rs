use jiff::Timestamp;

use super::moves::set_state;
use super::record::to_us;
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, State};

/// What asking for an experiment's cancellation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It waited in the queue and is cancelled.
    Cancelled,
    /// The wish is stored; whoever runs it must stop it and call `finish_cancelled`.
    Running,
    AlreadyFinished(State),
    NotFound,
}

impl Store {
    /// Cancels an experiment that waits. Of one that runs the wish is stored, so that it outlives a server: it will not
    /// be queued again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(&self, id: ExperimentId, now: Timestamp) -> Result<CancelOutcome, StoreError> {
        let mut transaction = self.begin().await?;
        let Some(standing) = self.lock(&mut transaction, id).await? else {
            return Ok(CancelOutcome::NotFound);
        };
        let outcome = match standing.state {
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
                // Where its server looks every second.
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
