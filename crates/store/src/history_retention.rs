//! Drops what was written down beside experiments and is old: changes of state, entries of the audit log, keys of
//! submissions. In small batches, each a transaction: others wait no longer than for one.

use jiff::Timestamp;
use sqlx::Row;

use super::record::{id as id_of, to_us};
use super::transaction::commit;
use super::{Store, StoreError};

/// Finished experiments whose changes go in one transaction.
const EXPERIMENTS_TOGETHER: i64 = 100;
/// Rows of a log that go in one transaction.
const ROWS_TOGETHER: i64 = 1000;

/// Along the index of what is finished, from where the last pruning stopped.
const NEXT_FINISHED: &str = "SELECT id, finished_at_us FROM experiments WHERE finished_at_us >= $1 \
     AND (finished_at_us > $1 OR id > $2) AND finished_at_us < $3 ORDER BY finished_at_us, id LIMIT $4";

const SUPERSEDED: &str = "DELETE FROM transitions WHERE experiment_id = $1 \
     AND seq < (SELECT MAX(t.seq) FROM transitions t WHERE t.experiment_id = $1)";

impl Store {
    /// Drops the changes of state of experiments that were finished before `not_before`, but the last of each, which
    /// says where it stands. Returns how many.
    ///
    /// # Errors
    /// When the database fails; what was dropped until then stays so.
    pub async fn drop_transitions(&self, not_before: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let mut transaction = self.begin().await?;
            let reached = sqlx::query("SELECT finished_at_us, experiment_id FROM pruned_transitions")
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query(NEXT_FINISHED)
                .bind(reached.try_get::<i64, _>("finished_at_us")?)
                .bind(reached.try_get::<String, _>("experiment_id")?)
                .bind(to_us(not_before))
                .bind(EXPERIMENTS_TOGETHER)
                .fetch_all(&mut *transaction)
                .await?;
            let Some(last) = rows.last() else { return Ok(dropped) };
            for row in &rows {
                let id = id_of(row, "id")?.to_string();
                let done = sqlx::query(SUPERSEDED).bind(id).execute(&mut *transaction).await?;
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

    /// Drops entries of the audit log from before `not_before`; returns how many.
    ///
    /// # Errors
    /// When the database fails; what was dropped until then stays so.
    pub async fn drop_audit_entries(&self, not_before: Timestamp) -> Result<u64, StoreError> {
        let text = "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE id < $1 ORDER BY id LIMIT $2)";
        // Ids sort by age: this is the first of that millisecond.
        let ms = u64::try_from(not_before.as_millisecond()).unwrap_or(0);
        let first = format!("{:08x}-{:04x}-7000-8000-000000000000", ms >> 16, ms & 0xffff);
        let mut dropped = 0;
        loop {
            let delete = sqlx::query(text).bind(&first).bind(ROWS_TOGETHER);
            match delete.execute(&self.writes).await?.rows_affected() {
                0 => return Ok(dropped),
                rows => dropped += rows,
            }
        }
    }

    /// Forgets the idempotency keys that are free again; returns how many.
    ///
    /// # Errors
    /// When the database fails; what was dropped until then stays so.
    pub async fn drop_expired_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        let text = "DELETE FROM idempotency_keys WHERE idempotency_key IN (SELECT idempotency_key \
             FROM idempotency_keys WHERE expires_at_us <= $1 LIMIT $2)";
        self.drop_expired(text, now).await
    }

    /// Deletes by a statement whose parameters are the present and how many rows at most, until none is left; returns how many
    /// rows that were.
    ///
    /// # Errors
    /// When the database fails; what was dropped until then stays so.
    pub(super) async fn drop_expired(&self, text: &'static str, now: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let delete = sqlx::query(text).bind(to_us(now)).bind(ROWS_TOGETHER);
            match delete.execute(&self.writes).await?.rows_affected() {
                0 => return Ok(dropped),
                rows => dropped += rows,
            }
        }
    }
}
