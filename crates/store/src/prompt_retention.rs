//! Drops the prompts of what is finished. Their number and their hash stay, and so do all results.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use joulemark_experiment::{DroppedPrompts, ExperimentId, Failure};

use super::record::{from_json, id as id_of, to_json, to_us};
use super::transaction::commit;
use super::{Store, StoreError, stored_bytes};

/// Of so many experiments, and about so many bytes, in one transaction: others wait no longer than for that.
const TOGETHER: i64 = 50;
const BYTES_TOGETHER: usize = 8 << 20;

/// A walk along an index of those alone that have any.
const OLDEST: &str = "SELECT id FROM experiments WHERE has_prompts = 1 AND finished_at_us IS NOT NULL \
     AND finished_at_us < $1 ORDER BY finished_at_us, id LIMIT $2";

/// `has_prompts` says whether another server was faster.
const DROP: &str = "UPDATE experiments SET spec = $1, dropped_prompts = $2, failure = $3, has_prompts = 0, \
     updated_at_us = $4 WHERE id = $5 AND has_prompts = 1";

impl Store {
    /// Drops the prompts of experiments that were finished before `not_before`; returns of how many.
    ///
    /// # Errors
    /// When the database fails; what was dropped until then stays so.
    pub async fn drop_prompts(&self, not_before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut dropped = 0;
        loop {
            let oldest = sqlx::query(OLDEST).bind(to_us(not_before)).bind(TOGETHER);
            let rows = oldest.fetch_all(&self.writes).await?;
            if rows.is_empty() {
                return Ok(dropped);
            }
            let mut transaction = self.begin().await?;
            let (mut read_bytes, mut freed) = (0, BTreeMap::new());
            for row in &rows {
                let outcome = drop_of(&mut transaction, id_of(row, "id")?, now).await?;
                read_bytes += outcome.read_bytes;
                dropped += u64::from(outcome.is_dropped);
                if let Some(submitter) = outcome.submitter {
                    *freed.entry(submitter).or_default() -= outcome.freed_bytes;
                }
                if read_bytes > BYTES_TOGETHER {
                    break;
                }
            }
            stored_bytes::add(&mut transaction, &freed).await?;
            commit(transaction).await?;
        }
    }
}

#[derive(Default)]
struct Outcome {
    read_bytes: usize,
    is_dropped: bool,
    submitter: Option<String>,
    freed_bytes: i64,
}

async fn drop_of(
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
            // `joulemark db check` names it; the others are not kept for its sake.
            tracing::error!(experiment = %id, %error, "its prompts cannot be dropped");
            (spec.clone(), None)
        }
    };
    let is_dropped = dropped.is_some();
    let failure: Option<String> = row.try_get("failure")?;
    // What a worker said of them goes with them.
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

/// Returns a failure without what may quote a prompt; one that cannot be read as it is.
fn without_quotes(id: ExperimentId, failure: &str) -> Result<String, StoreError> {
    match from_json::<Failure>(&format!("the failure of experiment {id}"), failure) {
        Ok(failure) => to_json(&failure.without_quotes()),
        Err(_) => Ok(failure.to_owned()),
    }
}

/// Returns the spec without its texts, and what those were; `None` where it has none.
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
