//! Drops the prompts of finished experiments. Their number, their hash and all results are kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use joulemark_experiment::{DroppedPrompts, ExperimentId, Failure};

use super::record::{from_json, id as id_of, to_json, to_us};
use super::transaction::commit;
use super::{Store, StoreError, stored_bytes};

/// Maximum number of experiments in one transaction, which bounds the wait of other writers.
const MAX_EXPERIMENTS_PER_TRANSACTION: i64 = 50;
/// Size of the specs, in bytes, after which a transaction is committed.
const MAX_BYTES_PER_TRANSACTION: usize = 8 << 20;

/// Walks a partial index of experiments that have prompts.
const OLDEST: &str = "SELECT id FROM experiments WHERE has_prompts = 1 AND finished_at_us IS NOT NULL \
     AND finished_at_us < $1 ORDER BY finished_at_us, id LIMIT $2";

/// The condition `has_prompts` fails when another server has dropped the prompts since.
const DROP: &str = "UPDATE experiments SET spec = $1, dropped_prompts = $2, failure = $3, has_prompts = 0, \
     updated_at_us = $4 WHERE id = $5 AND has_prompts = 1";

impl Store {
    /// Drops the prompts of experiments that finished before `not_before`. Returns the number of experiments.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was dropped before stays dropped.
    pub async fn drop_prompts(&self, not_before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let oldest = sqlx::query(OLDEST)
                .bind(to_us(not_before))
                .bind(MAX_EXPERIMENTS_PER_TRANSACTION);
            let rows = oldest.fetch_all(&self.writes).await?;
            if rows.is_empty() {
                return Ok(dropped);
            }
            let mut transaction = self.begin().await?;
            let (mut read_bytes, mut freed) = (0, BTreeMap::new());
            for row in &rows {
                let outcome = drop_prompts_of(&mut transaction, id_of(row, "id")?, now).await?;
                read_bytes += outcome.read_bytes;
                dropped += u64::from(outcome.is_dropped);
                if let Some(submitter) = outcome.submitter {
                    *freed.entry(submitter).or_default() -= outcome.freed_bytes;
                }
                if read_bytes > MAX_BYTES_PER_TRANSACTION {
                    break;
                }
            }
            stored_bytes::add(&mut transaction, &freed).await?;
            commit(transaction).await?;
        }
    }
}

/// What dropping the prompts of one experiment did.
#[derive(Default)]
struct Outcome {
    read_bytes: usize,
    is_dropped: bool,
    submitter: Option<String>,
    freed_bytes: i64,
}

async fn drop_prompts_of(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let text = "SELECT spec, submitter, failure FROM experiments WHERE id = $1";
    let row = sqlx::query(text)
        .bind(id.to_string())
        .fetch_one(&mut **transaction)
        .await?;
    let spec: String = row.try_get("spec")?;
    let (left, dropped) = match without_prompts(id, &spec, now) {
        Ok(split) => split,
        Err(error) => {
            // `joulemark db check` reports it. It does not stop the retention of the others.
            tracing::error!(experiment = %id, %error, "the prompts of an experiment cannot be dropped");
            (spec.clone(), None)
        }
    };
    let is_dropped = dropped.is_some();
    let failure: Option<String> = row.try_get("failure")?;
    // A worker's message may quote a prompt.
    let failure = match failure {
        Some(text) if is_dropped => Some(without_quotes(id, &text)?),
        failure => failure,
    };
    let done = sqlx::query(DROP)
        .bind(&left)
        .bind(dropped.as_ref().map(to_json).transpose()?)
        .bind(failure)
        .bind(to_us(now))
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(Outcome::default());
    }
    Ok(Outcome {
        read_bytes: spec.len(),
        is_dropped,
        submitter: row.try_get("submitter")?,
        freed_bytes: spec.len() as i64 - left.len() as i64,
    })
}

/// Removes from a failure what may quote a prompt. Returns a failure that cannot be read unchanged.
fn without_quotes(id: ExperimentId, failure: &str) -> Result<String, StoreError> {
    match from_json::<Failure>(&format!("the failure of experiment {id}"), failure) {
        Ok(failure) => to_json(&failure.without_quotes()),
        Err(_) => Ok(failure.to_owned()),
    }
}

/// Returns the spec without its prompts, and a description of what was removed; `None` when the spec had no prompts.
fn without_prompts(
    id: ExperimentId,
    spec: &str,
    now: Timestamp,
) -> Result<(String, Option<DroppedPrompts>), StoreError> {
    let mut spec: serde_json::Value = from_json(&format!("the spec of experiment {id}"), spec)?;
    let mut dropped = None;
    for field in ["prompts", "prompt_lines"] {
        let own = spec.get_mut(field).and_then(serde_json::Value::as_array_mut);
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            dropped = Some(DroppedPrompts::of(&std::mem::take(own), now));
        }
    }
    Ok((to_json(&spec)?, dropped))
}
