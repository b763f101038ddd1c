//! The callbacks (webhooks) that announce the end of an experiment. A row is written with its experiment and becomes
//! pending in the transaction that ends the experiment. The database's clock times the attempts. A server claims an
//! attempt by moving the next one to the end of a lease: when that server dies, another makes the attempt again.
//! `callback_turns` decides which callback is claimed first.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};
use uuid::Uuid;

use super::callback_turns::{CallsUnderWay, Candidate};
use super::lease::in_us;
use super::record::{NewCallback, from_us, id as id_of, state, to_us};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::{Callback, CallbackState, ExperimentId, NotACallbackState, State};

/// An attempt to deliver a callback, claimed by this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCallback {
    pub id: ExperimentId,
    pub delivery_id: Uuid,
    /// Empty for a submission without an authenticated name.
    pub submitter: String,
    pub host: String,
    pub url: String,
    /// Beginning of the links in the payload, up to the path.
    pub link_base: String,
    /// Number of this attempt, counted from 1.
    pub attempt: u32,
    pub state: State,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// The result of an attempt to deliver a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// HTTP status of the answer; `None` without an answer.
    pub status: Option<u16>,
    /// `None` when the receiver accepted the callback.
    pub error: Option<String>,
    /// Delay before the next attempt; `None` when the callback was accepted or is given up.
    pub again_after: Option<Duration>,
}

/// Claims an attempt that is still due, and moves the next one $1 microseconds ahead. Another server may have claimed
/// it since the candidates were read: PostgreSQL then waits for that transaction and checks the condition again.
const CLAIM: &str = "UPDATE callbacks SET attempts = attempts + 1, \
     next_attempt_at_us = (SELECT now_us FROM database_clock) + $1 WHERE experiment_id = $2 AND state = 'pending' \
     AND next_attempt_at_us <= (SELECT now_us FROM database_clock) RETURNING experiment_id";

/// Inserts a callback in the transaction that inserts its experiment.
pub async fn insert(
    transaction: &mut Transaction<'static, Any>,
    id: &str,
    callback: &NewCallback,
) -> Result<(), StoreError> {
    let text = "INSERT INTO callbacks (experiment_id, delivery_id, url, host, link_base, state) \
         VALUES ($1, $2, $3, $4, $5, 'waiting')";
    sqlx::query(text)
        .bind(id)
        .bind(callback.delivery_id.to_string())
        .bind(&callback.url)
        .bind(&callback.host)
        .bind(&callback.link_base)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Makes the callback of an experiment due, in the transaction that ends the experiment.
pub async fn become_due(transaction: &mut Transaction<'static, Any>, id: ExperimentId) -> Result<(), StoreError> {
    let text = "UPDATE callbacks SET state = 'pending', next_attempt_at_us = (SELECT now_us FROM database_clock) \
         WHERE experiment_id = $1 AND state = 'waiting'";
    sqlx::query(text)
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Claims at most `max` due attempts within the limits of `under_way`. No other server claims them again before
    /// `lease` has passed.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn claim_callbacks(
        &self,
        under_way: &CallsUnderWay,
        max: usize,
        lease: Duration,
    ) -> Result<Vec<DueCallback>, StoreError> {
        let mut candidates = self.callback_candidates(under_way, max).await?;
        // Usually nothing is due: do not wait for the write connection.
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // All servers lock rows in the same order, which rules out a deadlock.
        candidates.sort_by(|one, other| one.experiment_id.cmp(&other.experiment_id));
        let mut transaction = self.begin().await?;
        let mut due = Vec::new();
        for candidate in candidates {
            let claimed = sqlx::query(CLAIM)
                .bind(in_us(lease))
                .bind(&candidate.experiment_id)
                .fetch_all(&mut *transaction)
                .await?;
            if claimed.is_empty() {
                continue;
            }
            let text = "SELECT c.delivery_id, c.url, c.link_base, c.attempts, e.id, e.state, e.created_at_us, \
                 e.started_at_us, e.finished_at_us FROM callbacks c JOIN experiments e ON e.id = c.experiment_id \
                 WHERE c.experiment_id = $1";
            let query = sqlx::query(text).bind(&candidate.experiment_id);
            let row = query.fetch_one(&mut *transaction).await?;
            due.push(due_callback(&row, candidate)?);
        }
        commit(transaction).await?;
        Ok(due)
    }

    /// Stores the result of the attempt with the number `attempt`. Does nothing when a later attempt has been claimed
    /// since.
    ///
    /// # Errors
    /// Returns an error when the database fails; the attempt is then repeated after its lease.
    pub async fn settle_callback(
        &self,
        id: ExperimentId,
        attempt: u32,
        tried: &Tried,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let state = match (&tried.error, tried.again_after) {
            (None, _) => CallbackState::Delivered,
            (Some(_), Some(_)) => CallbackState::Pending,
            (Some(_), None) => CallbackState::Failed,
        };
        let again_after_us = tried.again_after.filter(|_| state == CallbackState::Pending).map(in_us);
        let text = "UPDATE callbacks SET state = $1, last_status = $2, last_error = $3, last_attempt_at_us = $4, \
             next_attempt_at_us = (SELECT now_us FROM database_clock) + $5 \
             WHERE experiment_id = $6 AND attempts = $7 AND state = 'pending'";
        sqlx::query(text)
            .bind(state.as_str())
            .bind(tried.status.map(i64::from))
            .bind(tried.error.as_deref())
            .bind(to_us(now))
            .bind(again_after_us)
            .bind(id.to_string())
            .bind(i64::from(attempt))
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Returns the callback of an experiment; `None` when it has none.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn callback(&self, id: ExperimentId) -> Result<Option<Callback>, StoreError> {
        let text = "SELECT delivery_id, url, state, attempts, last_status, last_error, last_attempt_at_us, \
             next_attempt_at_us FROM callbacks WHERE experiment_id = $1";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        row.as_ref().map(callback).transpose()
    }
}

fn callback(row: &AnyRow) -> Result<Callback, StoreError> {
    let state: &str = row.try_get("state")?;
    let status: Option<i64> = row.try_get("last_status")?;
    let time = |column| row.try_get::<Option<i64>, _>(column)?.map(from_us).transpose();
    Ok(Callback {
        url: row.try_get("url")?,
        state: state
            .parse()
            .map_err(|reason: NotACallbackState| StoreError::corrupt("a callback", reason))?,
        delivery_id: delivery_id(row)?,
        attempts: attempts(row)?,
        last_status: status.and_then(|status| u16::try_from(status).ok()),
        last_error: row.try_get("last_error")?,
        last_attempt_at: time("last_attempt_at_us")?,
        next_attempt_at: time("next_attempt_at_us")?,
    })
}

fn due_callback(row: &AnyRow, of: Candidate) -> Result<DueCallback, StoreError> {
    let time = |column| row.try_get::<Option<i64>, _>(column)?.map(from_us).transpose();
    Ok(DueCallback {
        id: id_of(row, "id")?,
        delivery_id: delivery_id(row)?,
        submitter: of.submitter,
        host: of.host,
        url: row.try_get("url")?,
        link_base: row.try_get("link_base")?,
        attempt: attempts(row)?,
        state: state(row)?,
        created_at: from_us(row.try_get("created_at_us")?)?,
        started_at: time("started_at_us")?,
        finished_at: time("finished_at_us")?,
    })
}

fn delivery_id(row: &AnyRow) -> Result<Uuid, StoreError> {
    let text: &str = row.try_get("delivery_id")?;
    text.parse()
        .map_err(|reason: uuid::Error| StoreError::corrupt("a callback", reason))
}

fn attempts(row: &AnyRow) -> Result<u32, StoreError> {
    let attempts: i64 = row.try_get("attempts")?;
    u32::try_from(attempts).map_err(|reason| StoreError::corrupt("a callback", reason))
}
