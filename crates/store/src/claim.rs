use jiff::Timestamp;
use sqlx::Row;

use super::lease::{Claim, grant};
use super::moves::set_state;
use super::record::{attempt as attempt_of, record, to_json, to_us};
use super::write_metrics::timed;
use super::{Record, Store, StoreError};
use joulemark_experiment::{ExperimentId, Failure, IllegalMove, State};

/// An experiment taken out of the queue.
#[derive(Debug)]
pub struct Claimed {
    /// Counted from 1; every later move must say it.
    pub attempt: u32,
    /// As it was stored, or why that cannot be read back: then it can only be failed.
    pub record: Result<Record, StoreError>,
}

impl Store {
    /// Takes an experiment out of the queue. Of several who try one gets it; the others, and whoever asks for one that
    /// does not wait, get none. The lease runs by the database's clock.
    ///
    /// # Errors
    /// When the database fails. The experiment may be claimed all the same: a holder that finds itself to hold what it
    /// does not run must give it back.
    pub async fn claim(
        &self,
        id: ExperimentId,
        claim: &Claim<'_>,
        now: Timestamp,
    ) -> Result<Option<Claimed>, StoreError> {
        timed(&self.metrics, "claim", self.take(id, claim, now)).await
    }

    async fn take(&self, id: ExperimentId, claim: &Claim<'_>, now: Timestamp) -> Result<Option<Claimed>, StoreError> {
        let mut transaction = self.begin().await?;
        // All rows are fetched though there is one at most: a statement left unfinished would hide a failed commit.
        let rows = sqlx::query(self.dialect.claim())
            .bind(id.to_string())
            .bind(to_us(now))
            .bind(claim.node_name)
            .bind(to_json(&claim.gpus)?)
            .fetch_all(&mut *transaction)
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let attempt = attempt_of(row)?;
        let user: String = row.try_get("user_name")?;
        grant(&mut transaction, (id, attempt), claim, &user, now).await?;
        let record = record(row).map(|(record, _)| record);
        self.commit_moves(transaction).await?;
        Ok(Some(Claimed { attempt, record }))
    }

    /// Moves a running experiment on, or back to the queue. One whose cancellation was asked for does not go back to
    /// the queue: it becomes cancelled.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds it, [`StoreError::IllegalMove`] when there is no such way;
    /// the ends have calls of their own.
    pub async fn advance(&self, id: ExperimentId, attempt: u32, to: State, now: Timestamp) -> Result<(), StoreError> {
        timed(&self.metrics, "advance", self.move_on(id, attempt, to, now)).await
    }

    async fn move_on(&self, id: ExperimentId, attempt: u32, to: State, now: Timestamp) -> Result<(), StoreError> {
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
        self.commit_moves(transaction).await
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
        self.commit_moves(transaction).await
    }
}
