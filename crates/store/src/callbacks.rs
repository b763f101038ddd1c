//! Who is told of an experiment's end. A row waits with its experiment and becomes pending in the transaction that ends
//! it; tries are timed by the database's clock. A try is claimed by moving the next one behind its lease, so that one
//! server makes it, and another makes it again should that one die. Whose is claimed first is `callback_turns`' business.

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

/// A try that is to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueCallback {
    pub id: ExperimentId,
    pub delivery_id: Uuid,
    /// Empty where nobody is known by name.
    pub submitter: String,
    pub host: String,
    pub url: String,
    pub link_base: String,
    /// From 1.
    pub attempt: u32,
    pub state: State,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub status: Option<u16>,
    pub error: Option<String>,
    /// When to try again; none when it was taken, or is given up.
    pub again_after: Option<Duration>,
}

/// Takes a try that is still due, and puts the next one off by $1 microseconds. Another server may have taken it since it
/// was looked at: PostgreSQL waits for that one's transaction and looks again.
const CLAIM: &str = "UPDATE callbacks SET attempts = attempts + 1, \
     next_attempt_at_us = (SELECT now_us FROM database_clock) + $1 WHERE experiment_id = $2 AND state = 'pending' \
     AND next_attempt_at_us <= (SELECT now_us FROM database_clock) RETURNING experiment_id";

/// Beside the experiment, in its transaction.
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

/// Beside the end of the experiment, in its transaction.
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
    /// Takes up to `most` tries that are due and have room beside those under way; nobody else takes them within `lease`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_callbacks(
        &self,
        under_way: &CallsUnderWay,
        most: usize,
        lease: Duration,
    ) -> Result<Vec<DueCallback>, StoreError> {
        let mut candidates = self.callback_candidates(under_way, most).await?;
        // Mostly there is nothing, which takes no writer's turn.
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // In one order for all servers, so that none waits for another that waits for it.
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

    /// Writes down what came of the try numbered `attempt`. Does nothing when there has been another since.
    ///
    /// # Errors
    /// When the database fails; the try is then made again.
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

    /// Who is told of the experiment's end; none where nobody is.
    ///
    /// # Errors
    /// When the database fails.
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
