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
    /// Number of this attempt, counted from 1. Later calls for this experiment pass it.
    pub attempt: u32,
    /// The experiment as stored, or the reason why it cannot be read back; it can then only be failed.
    pub record: Result<Record, StoreError>,
}

impl Store {
    /// Takes an experiment out of the queue. One of several concurrent callers gets it; the others get `None`, and so
    /// does a call for an experiment that is not queued. The database's clock times the lease.
    ///
    /// # Errors
    /// Returns an error when the database fails. The claim may have been committed all the same: a holder that finds in
    /// its leases an experiment that it does not run must give it back.
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
        // Reads to the end although there is at most one row: an unfinished statement would hide a failed commit.
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

    /// Moves a running experiment to its next state, or back to the queue. An experiment whose cancellation was
    /// requested becomes cancelled instead of queued.
    ///
    /// # Errors
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment, and [`StoreError::IllegalMove`]
    /// when the transition does not exist or leads to a final state; those have methods of their own.
    pub async fn advance(&self, id: ExperimentId, attempt: u32, to: State, now: Timestamp) -> Result<(), StoreError> {
        timed(&self.metrics, "advance", self.move_on(id, attempt, to, now)).await
    }

    async fn move_on(&self, id: ExperimentId, attempt: u32, to: State, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let Some(progress) = self.lock_held(&mut transaction, (id, attempt), to).await? else {
            return Ok(());
        };
        if to.is_finished() {
            return Err(IllegalMove {
                from: progress.state,
                to,
            }
            .into());
        }
        let to = if to == State::Queued && progress.cancel_requested {
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
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment.
    pub async fn fail(
        &self,
        id: ExperimentId,
        attempt: u32,
        failure: &Failure,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.end(id, attempt, (State::Failed, Some(failure)), now).await
    }

    /// Ends a running experiment as cancelled. Call it once the workers have stopped.
    ///
    /// # Errors
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment.
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
