//! Drops old entries of the logs: state transitions, the audit log and idempotency keys. Works in small transactions,
//! so that other writers wait only for one of them.

use jiff::Timestamp;
use sqlx::Row;

use super::record::{id as id_of, to_us};
use super::transaction::commit;
use super::{Store, StoreError};

/// Maximum number of finished experiments whose transitions are dropped in one transaction.
const EXPERIMENTS_PER_TRANSACTION: i64 = 100;
/// Maximum number of log entries that are dropped in one transaction.
const ROWS_PER_TRANSACTION: i64 = 1000;

/// Finished experiments in the order of the index, from where the last call stopped.
const NEXT_FINISHED_EXPERIMENTS: &str = "SELECT id, finished_at_us FROM experiments WHERE finished_at_us >= $1 \
     AND (finished_at_us > $1 OR id > $2) AND finished_at_us < $3 ORDER BY finished_at_us, id LIMIT $4";

const DELETE_SUPERSEDED_TRANSITIONS: &str = "DELETE FROM transitions WHERE experiment_id = $1 \
     AND seq < (SELECT MAX(t.seq) FROM transitions t WHERE t.experiment_id = $1)";

impl Store {
    /// Drops the transitions of experiments that finished before `not_before`, except the last of each, which gives its
    /// state. Returns the number of transitions dropped.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was dropped before stays dropped.
    pub async fn drop_transitions(&self, not_before: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let mut transaction = self.begin().await?;
            let reached = sqlx::query("SELECT finished_at_us, experiment_id FROM pruned_transitions")
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query(NEXT_FINISHED_EXPERIMENTS)
                .bind(reached.try_get::<i64, _>("finished_at_us")?)
                .bind(reached.try_get::<String, _>("experiment_id")?)
                .bind(to_us(not_before))
                .bind(EXPERIMENTS_PER_TRANSACTION)
                .fetch_all(&mut *transaction)
                .await?;
            let Some(last) = rows.last() else { return Ok(dropped) };
            for row in &rows {
                let id = id_of(row, "id")?.to_string();
                let done = sqlx::query(DELETE_SUPERSEDED_TRANSITIONS)
                    .bind(id)
                    .execute(&mut *transaction)
                    .await?;
                dropped += done.rows_affected();
            }
            sqlx::query("UPDATE pruned_transitions SET finished_at_us = $1, experiment_id = $2")
                .bind(last.try_get::<i64, _>("finished_at_us")?)
                .bind(id_of(last, "id")?.to_string())
                .execute(&mut *transaction)
                .await?;
            commit(transaction).await?;
        }
    }

    /// Drops entries of the audit log from before `not_before`. Returns the number of entries dropped.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was dropped before stays dropped.
    pub async fn drop_audit_entries(&self, not_before: Timestamp) -> Result<u64, StoreError> {
        let text = "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE id < $1 ORDER BY id LIMIT $2)";
        // Ids are UUIDv7 and sort by time: this is the smallest id of that millisecond.
        let ms = u64::try_from(not_before.as_millisecond()).unwrap_or(0);
        let first = format!("{:08x}-{:04x}-7000-8000-000000000000", ms >> 16, ms & 0xffff);
        let mut dropped = 0;
        loop {
            let delete = sqlx::query(text).bind(&first).bind(ROWS_PER_TRANSACTION);
            match delete.execute(&self.writes).await?.rows_affected() {
                0 => return Ok(dropped),
                rows => dropped += rows,
            }
        }
    }

    /// Drops expired idempotency keys. Returns the number of keys dropped.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was dropped before stays dropped.
    pub async fn drop_expired_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let text = "DELETE FROM idempotency_keys WHERE idempotency_key IN (SELECT idempotency_key \
             FROM idempotency_keys WHERE expires_at_us <= $1 LIMIT $2)";
        self.drop_expired(text, now).await
    }

    /// Repeats a delete statement with the parameters `now` (microseconds) and the maximum number of rows until it
    /// deletes none. Returns the number of rows deleted.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was deleted before stays deleted.
    pub(super) async fn drop_expired(&self, text: &'static str, now: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let delete = sqlx::query(text).bind(to_us(now)).bind(ROWS_PER_TRANSACTION);
            match delete.execute(&self.writes).await?.rows_affected() {
                0 => return Ok(dropped),
                rows => dropped += rows,
            }
        }
    }
}
