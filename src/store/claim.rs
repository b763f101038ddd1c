use jiff::Timestamp;

use super::record::{attempt as attempt_of, to_us};
use super::standing::set_state;
use super::{Store, StoreError};
use crate::experiment::{ExperimentId, Failure, IllegalMove, State};

impl Store {
    /// Takes an experiment out of the queue. Of several who try, one gets the number of its attempt, counted from 1;
    /// the others, and whoever asks for one that does not wait, get none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, id: ExperimentId, now: Timestamp) -> Result<Option<u32>, StoreError> {
        // All rows are fetched though there is one at most: a statement left unfinished would hide a failed commit.
        let rows = sqlx::query(
            "UPDATE experiments SET state = 'starting', attempt = attempt + 1, started_at_us = $2, updated_at_us = $2 \
             WHERE id = $1 AND state = 'queued' RETURNING attempt",
        )
        .bind(id.to_string())
        .bind(to_us(now))
        .fetch_all(&self.writes)
        .await?;
        rows.first().map(attempt_of).transpose()
    }

    /// Moves a running experiment on, or back to the queue. One whose cancellation was asked for does not go back to
    /// the queue: it becomes cancelled.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds it, [`StoreError::IllegalMove`] when there is no such way;
    /// the ends have calls of their own.
    pub async fn advance(&self, id: ExperimentId, attempt: u32, to: State, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let Some(standing) = self.lock_held(&mut transaction, (id, attempt), to).await? else {
            return Ok(());
        };
        if to.is_finished() {
            return Err(IllegalMove {
                from: standing.state,
                to,
            }
            .into());
        }
        let to = if to == State::Queued && standing.cancel_requested {
            State::Cancelled
        } else {
            to
        };
        set_state(&mut transaction, id, (to, None), now).await?;
        Ok(transaction.commit().await?)
    }

    /// Ends a running experiment as failed.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds it.
    pub async fn fail(
        &self,
        id: ExperimentId,
        attempt: u32,
        failure: &Failure,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end(id, attempt, (State::Failed, Some(failure)), now).await
    }

    /// Ends a running experiment as cancelled, once its workers are gone.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds it.
    pub async fn finish_cancelled(&self, id: ExperimentId, attempt: u32, now: Timestamp) -> Result<(), StoreError> {
        self.end(id, attempt, (State::Cancelled, None), now).await
    }

    async fn end(
        &self,
        id: ExperimentId,
        attempt: u32,
        end: (State, Option<&Failure>),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        if self.lock_held(&mut transaction, (id, attempt), end.0).await?.is_some() {
            set_state(&mut transaction, id, end, now).await?;
        }
        Ok(transaction.commit().await?)
    }
}
