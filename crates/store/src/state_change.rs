use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::lease::give_back;
use super::record::{attempt, state, to_json, to_us};
use super::{Store, StoreError, callbacks};
use joulemark_experiment::{ExperimentId, Failure, State};

/// How far an experiment is, read in the transaction that is about to move it.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub state: State,
    pub attempt: u32,
    /// How many attempts it used up by its own doing.
    pub interruptions: u32,
    pub cancel_requested: bool,
}

pub fn standing(row: &AnyRow) -> Result<Standing, StoreError> {
    let cancel_requested_at: Option<i64> = row.try_get("cancel_requested_at_us")?;
    let interruptions: i64 = row.try_get("interruptions")?;
    Ok(Standing {
        state: state(row)?,
        attempt: attempt(row)?,
        interruptions: u32::try_from(interruptions).unwrap_or(u32::MAX),
        cancel_requested: cancel_requested_at.is_some(),
    })
}

impl Store {
    pub(super) async fn lock(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: ExperimentId,
    ) -> Result<Option<Standing>, StoreError> {
        let text = self.dialect.lock_one();
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&mut **transaction)
            .await?;
        row.as_ref().map(standing).transpose()
    }

    /// Where `attempt` stands if it still holds the experiment. None when it is at `to` already: an earlier call, whose
    /// answer was lost, did this work.
    pub(super) async fn lock_held(
        &self,
        transaction: &mut Transaction<'static, Any>,
        (id, attempt): (ExperimentId, u32),
        to: State,
    ) -> Result<Option<Standing>, StoreError> {
        let standing = self.lock(transaction, id).await?.ok_or(StoreError::NotFound(id))?;
        if standing.attempt == attempt && standing.state == to {
            return Ok(None);
        }
        if standing.attempt != attempt || standing.state == State::Queued || standing.state.is_finished() {
            return Err(StoreError::Lost { id, attempt });
        }
        standing.state.advance(to)?;
        Ok(Some(standing))
    }
}

/// Where an experiment stands, and nobody else moves it until the transaction ends.
pub async fn lock_state(
    store: &Store,
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
) -> Result<Option<State>, StoreError> {
    Ok(store.lock(transaction, id).await?.map(|standing| standing.state))
}

/// Writes the rows of a move that was checked in the same transaction; called by `moves` alone. What ends
/// or goes back to the queue gives its lease back, and at an end its device time is put down to its user, and whoever wants to
/// be told becomes due.
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
