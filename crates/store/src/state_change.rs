use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::lease::give_back;
use super::record::{attempt, state, to_json, to_us};
use super::{Store, StoreError, callbacks};
use joulemark_experiment::{ExperimentId, Failure, State};

/// The progress of an experiment, read in the transaction that is about to move it.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    pub state: State,
    pub attempt: u32,
    /// Number of attempts used up by crashes in the server's own work on the experiment.
    pub interruptions: u32,
    pub cancel_requested: bool,
}

/// Reads a row of the queries that lock experiments.
pub fn progress(row: &AnyRow) -> Result<Progress, StoreError> {
    let cancel_requested_at: Option<i64> = row.try_get("cancel_requested_at_us")?;
    let interruptions: i64 = row.try_get("interruptions")?;
    Ok(Progress {
        state: state(row)?,
        attempt: attempt(row)?,
        interruptions: u32::try_from(interruptions).unwrap_or(u32::MAX),
        cancel_requested: cancel_requested_at.is_some(),
    })
}

impl Store {
    /// Locks an experiment until the transaction ends and returns its progress; `None` for an unknown id.
    pub(super) async fn lock(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: ExperimentId,
    ) -> Result<Option<Progress>, StoreError> {
        let text = self.dialect.lock_one();
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&mut **transaction)
            .await?;
        row.as_ref().map(progress).transpose()
    }

    /// Locks an experiment that `attempt` holds, checks the transition to `to`, and returns the progress. Returns
    /// `None` when it is in `to` already: an earlier call, whose answer was lost, made the transition.
    pub(super) async fn lock_held(
        &self,
        transaction: &mut Transaction<'static, Any>,
        (id, attempt): (ExperimentId, u32),
        to: State,
    ) -> Result<Option<Progress>, StoreError> {
        let progress = self.lock(transaction, id).await?.ok_or(StoreError::NotFound(id))?;
        if progress.attempt == attempt && progress.state == to {
            return Ok(None);
        }
        if progress.attempt != attempt || progress.state == State::Queued || progress.state.is_finished() {
            return Err(StoreError::Lost { id, attempt });
        }
        progress.state.advance(to)?;
        Ok(Some(progress))
    }
}

/// Locks an experiment until the transaction ends and returns its state; `None` for an unknown id.
pub async fn lock_state(
    store: &Store,
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
) -> Result<Option<State>, StoreError> {
    Ok(store.lock(transaction, id).await?.map(|progress| progress.state))
}

/// Writes a transition that was checked in the same transaction. Only `moves` calls this. A final state, or a return to
/// the queue, deletes the lease; a final state also charges the device time to the user and makes the callback due.
pub async fn write_state(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    (to, failure): (State, Option<&Failure>),
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE experiments SET state = $1, failure = $2, finished_at_us = $3, updated_at_us = $4, \
         started_at_us = CASE WHEN $1 = 'queued' THEN NULL ELSE started_at_us END, \
         node_name = CASE WHEN $1 = 'queued' THEN NULL ELSE node_name END, \
         gpus = CASE WHEN $1 = 'queued' THEN NULL ELSE gpus END WHERE id = $5",
    )
    .bind(to.as_str())
    .bind(failure.map(to_json).transpose()?)
    .bind(to.is_finished().then(|| to_us(now)))
    .bind(to_us(now))
    .bind(id.to_string())
    .execute(&mut **transaction)
    .await?;
    if to.is_finished() {
        sqlx::query("UPDATE experiment_labels SET finished_at_us = $1 WHERE experiment_id = $2")
            .bind(to_us(now))
            .bind(id.to_string())
            .execute(&mut **transaction)
            .await?;
    }
    if !to.is_running() {
        give_back(transaction, id, to, now).await?;
    }
    if to.is_finished() {
        callbacks::become_due(transaction, id).await?;
    }
    Ok(())
}
