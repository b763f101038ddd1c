//! Inserts submissions. Rows are prepared outside of the writer and inserted many at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{AssertSqlSafe, Row, Transaction};

use super::dialect::Dialect;
use super::prepared::{IdempotencyKey, Prepared, Quota, Submitted};
use super::queue_columns::INSERT_LANE;
use super::record::{id as id_of, to_us};
use super::{StoreError, callbacks, quota, stored_bytes};

/// Inserts a batch of submissions in a transaction. Returns one outcome for each, in order.
pub async fn write(
    dialect: Dialect,
    transaction: &mut Transaction<'static, Any>,
    batch: &[&Prepared],
) -> Result<Vec<Submitted>, StoreError> {
    let is_limited = batch.iter().any(|prepared| prepared.quota != Quota::default());
    // Taken before any key, so that two servers cannot deadlock on each other's keys.
    if let Some(text) = dialect.lock_queue().filter(|_| is_limited) {
        sqlx::query(text).fetch_all(&mut **transaction).await?;
    }
    let mut outcomes = vec![Submitted::Stored; batch.len()];
    let mut keyed = (0..batch.len())
        .filter(|&at| batch[at].key.is_some())
        .collect::<Vec<_>>();
    // All servers take keys in the same order, which rules out a deadlock.
    keyed.sort_by_key(|&at| batch[at].key.as_ref().map(|key| &key.key));
    for at in keyed {
        if let Some(key) = &batch[at].key {
            outcomes[at] = take_idempotency_key(transaction, key, batch[at]).await?;
        }
    }
    if is_limited {
        quota::reject_excess(transaction, batch, &mut outcomes).await?;
    }
    let fresh = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == Submitted::Stored);
    let fresh = fresh.map(|(prepared, _)| *prepared).collect::<Vec<_>>();
    insert(transaction, &fresh).await?;
    Ok(outcomes)
}

/// Inserts the rows of submissions that were accepted.
pub async fn insert(transaction: &mut Transaction<'static, Any>, fresh: &[&Prepared]) -> Result<(), StoreError> {
    // All servers insert lanes in the same order, which rules out a deadlock.
    let lanes = fresh
        .iter()
        .map(|prepared| (&prepared.queue.lane, &prepared.queue.requirements));
    for (lane, requirements) in lanes.collect::<BTreeMap<_, _>>() {
        sqlx::query(INSERT_LANE)
            .bind(lane)
            .bind(requirements)
            .execute(&mut **transaction)
            .await?;
    }
    for chunk in chunks(fresh) {
        let text = many_rows(
            "INSERT INTO experiments (id, spec, model_name, engine, warnings, created_at_us, updated_at_us, lane, user_name, \
             priority, submitter, request_id, traceparent, has_prompts, state, attempt) VALUES",
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0)",
            chunk.len(),
        );
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for prepared in chunk {
            insert = insert
                .bind(&prepared.id_text)
                .bind(&prepared.spec)
                .bind(&prepared.model_name)
                .bind(&prepared.engine)
                .bind(&prepared.warnings)
                .bind(prepared.created_at_us)
                .bind(prepared.created_at_us)
                .bind(&prepared.queue.lane)
                .bind(&prepared.queue.user_name)
                .bind(prepared.queue.priority)
                .bind(&prepared.entry.name)
                .bind(&prepared.arrival.request_id)
                .bind(&prepared.arrival.traceparent)
                .bind(i64::from(prepared.has_prompts));
        }
        insert.execute(&mut **transaction).await?;
    }
    let mut stored: BTreeMap<&str, i64> = BTreeMap::new();
    for prepared in fresh {
        if let Some(submitter) = prepared.submitter() {
            *stored.entry(submitter).or_default() += prepared.stored_bytes().cast_signed();
        }
    }
    stored_bytes::add(transaction, &stored).await?;
    let labels = fresh
        .iter()
        .flat_map(|prepared| prepared.labels.iter().map(|label| (&prepared.id_text, label)));
    for chunk in chunks(&labels.collect::<Vec<_>>()) {
        let text = many_rows(
            "INSERT INTO experiment_labels (experiment_id, label, value) VALUES",
            "(?, ?, ?)",
            chunk.len(),
        );
        let mut insert = sqlx::query(AssertSqlSafe(text));
        for (id, (label, value)) in chunk {
            insert = insert.bind(*id).bind(label).bind(value);
        }
        insert.execute(&mut **transaction).await?;
    }
    for prepared in fresh {
        super::audit::write(transaction, &prepared.entry).await?;
        if let Some(callback) = &prepared.callback {
            callbacks::insert(transaction, &prepared.id_text, callback).await?;
        }
    }
    Ok(())
}

/// Takes an idempotency key. The unique index decides between two concurrent submissions, also on two servers.
async fn take_idempotency_key(
    transaction: &mut Transaction<'static, Any>,
    key: &IdempotencyKey,
    prepared: &Prepared,
) -> Result<Submitted, StoreError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE idempotency_key = $1 AND expires_at_us <= $2")
        .bind(&key.key)
        .bind(prepared.created_at_us)
        .execute(&mut **transaction)
        .await?;
    let taken = sqlx::query(
        "INSERT INTO idempotency_keys (idempotency_key, body_sha256, experiment_id, expires_at_us) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (idempotency_key) DO NOTHING",
    )
    .bind(&key.key)
    .bind(&key.body_sha256)
    .bind(&prepared.id_text)
    .bind(to_us(key.expires_at))
    .execute(&mut **transaction)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(Submitted::Stored);
    }
    let row = sqlx::query(KEY_TEXT)
        .bind(&key.key)
        .fetch_one(&mut **transaction)
        .await?;
    let body_sha256: &str = row.try_get("body_sha256")?;
    if body_sha256 == key.body_sha256 {
        Ok(Submitted::Repeated(id_of(&row, "experiment_id")?))
    } else {
        Ok(Submitted::KeyTaken)
    }
}

const KEY_TEXT: &str =
    "SELECT body_sha256, experiment_id, expires_at_us FROM idempotency_keys WHERE idempotency_key = $1";

impl super::Store {
    /// Returns the outcome that a submission under `key` would have at `now`; [`Submitted::Stored`] when the key is
    /// free.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn look_up_key(&self, key: &IdempotencyKey, now: Timestamp) -> Result<Submitted, StoreError> {
        let Some(row) = sqlx::query(KEY_TEXT).bind(&key.key).fetch_optional(&self.reads).await? else {
            return Ok(Submitted::Stored);
        };
        let (body_sha256, expires_at_us): (&str, i64) = (row.try_get("body_sha256")?, row.try_get("expires_at_us")?);
        if expires_at_us <= to_us(now) {
            Ok(Submitted::Stored)
        } else if body_sha256 == key.body_sha256 {
            Ok(Submitted::Repeated(id_of(&row, "experiment_id")?))
        } else {
            Ok(Submitted::KeyTaken)
        }
    }
}

/// Splits rows into chunks whose lengths are powers of two, so that there are few different statements and all stay
/// prepared.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    const MAX_ROWS: usize = 64;
    std::iter::from_fn(move || {
        let largest = rows.len().checked_ilog2().map(|bits| (1 << bits).min(MAX_ROWS))?;
        let (chunk, rest) = rows.split_at(largest);
        rows = rest;
        Some(chunk)
    })
}

/// Returns `head` followed by `row` as often as `rows`, with each `?` replaced by a numbered parameter.
fn many_rows(head: &str, row: &str, rows: usize) -> String {
    let mut text = head.to_owned();
    let mut parameter = 0;
    for index in 0..rows {
        text.push_str(if index == 0 { " " } else { ", " });
        for character in row.chars() {
            if character == '?' {
                parameter += 1;
                text.push_str(&format!("${parameter}"));
            } else {
                text.push(character);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_numbered_through_all_rows() {
        assert_eq!(
            many_rows("VALUES", "(?, 'a', ?)", 2),
            "VALUES ($1, 'a', $2), ($3, 'a', $4)"
        );
    }

    proptest! {
        #[test]
        fn chunks_are_all_rows_in_order_in_few_lengths(rows in prop::collection::vec(any::<u8>(), 0..500)) {
            let parts = chunks(&rows).collect::<Vec<_>>();
            prop_assert_eq!(parts.concat(), rows.as_slice());
            prop_assert!(parts.iter().all(|part| part.len().is_power_of_two() && part.len() <= 64));
        }
    }
}
