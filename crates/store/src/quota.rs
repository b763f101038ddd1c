//! The quotas of the queue. The writer counts once for all submissions that it commits together: concurrent submissions
//! cannot exceed a limit, and a long queue costs one index walk for each commit.

use std::collections::HashMap;

use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::prepared::{Prepared, Quota, Submitted};
use super::{Store, StoreError, stored_bytes};

const QUEUED: &str =
    "SELECT COUNT(*) AS experiments FROM (SELECT id FROM experiments WHERE state = 'queued' LIMIT $1) counted";

pub(super) const UNFINISHED: &str = "SELECT COUNT(*) AS experiments FROM (SELECT id FROM experiments WHERE submitter = $1 \
     AND state IN ('queued', 'starting', 'warming_up', 'measuring', 'aggregating') LIMIT $2) counted";

const FREE_KEY: &str = "DELETE FROM idempotency_keys WHERE idempotency_key = $1 AND experiment_id = $2";

/// Rejects the submissions of a batch that exceed a quota, in their order, and releases their idempotency keys.
pub async fn reject_excess(
    transaction: &mut Transaction<'static, Any>,
    batch: &[&Prepared],
    outcomes: &mut [Submitted],
) -> Result<(), StoreError> {
    let max = batch.iter().filter_map(|prepared| prepared.quota.queued).max();
    let mut waiting = match max {
        Some(max) => {
            let counted = sqlx::query(QUEUED).bind(limit(max));
            count(&counted.fetch_one(&mut **transaction).await?)?
        }
        None => 0,
    };
    let mut usages: HashMap<&str, SubmitterUsage> = HashMap::new();
    let mut rejected_keys = HashMap::new();
    for (prepared, outcome) in batch.iter().zip(outcomes.iter_mut()) {
        if *outcome != Submitted::Stored {
            continue;
        }
        let quota = prepared.quota;
        if quota.queued.is_some_and(|max| waiting >= max) {
            *outcome = Submitted::QueueFull;
        } else if let Some(submitter) = prepared.submitter() {
            if !usages.contains_key(submitter) {
                let read = SubmitterUsage::read(transaction, submitter, quota).await?;
                usages.insert(submitter, read);
            }
            *outcome = usages.entry(submitter).or_default().admit(prepared);
        }
        match (*outcome, &prepared.key) {
            (Submitted::Stored, _) => waiting += 1,
            (refusal, Some(key)) => drop(rejected_keys.insert(key.key.as_str(), refusal)),
            (_, None) => {}
        }
    }
    release_keys(transaction, batch, outcomes, &rejected_keys).await
}

/// The usage of one submitter, including the earlier submissions of the batch.
#[derive(Clone, Copy, Debug, Default)]
struct SubmitterUsage {
    unfinished: u64,
    stored_bytes: u64,
}

impl SubmitterUsage {
    /// Reads the usage that the quota limits.
    async fn read(
        transaction: &mut Transaction<'static, Any>,
        submitter: &str,
        quota: Quota,
    ) -> Result<Self, StoreError> {
        let mut read = Self::default();
        if let Some(max) = quota.unfinished_of_submitter {
            let counted = sqlx::query(UNFINISHED).bind(submitter).bind(limit(max));
            read.unfinished = count(&counted.fetch_one(&mut **transaction).await?)?;
        }
        if quota.stored_bytes_of_submitter.is_some() {
            read.stored_bytes = stored_bytes::of(transaction, submitter).await?;
        }
        Ok(read)
    }

    /// Counts a submission if it stays within the quota of its submitter, and returns its outcome.
    fn admit(&mut self, prepared: &Prepared) -> Submitted {
        let quota = prepared.quota;
        if quota.unfinished_of_submitter.is_some_and(|max| self.unfinished >= max) {
            return Submitted::QuotaUsedUp;
        }
        let stored_bytes = self.stored_bytes.saturating_add(prepared.stored_bytes());
        if quota.stored_bytes_of_submitter.is_some_and(|max| stored_bytes > max) {
            let used_bytes = self.stored_bytes;
            return Submitted::TooMuchStored { used_bytes };
        }
        self.unfinished += 1;
        self.stored_bytes = stored_bytes;
        Submitted::Stored
    }
}

/// Releases the keys of rejected submissions. A submission in the same batch with the same key is rejected too, because
/// the experiment that it would repeat does not exist.
async fn release_keys(
    transaction: &mut Transaction<'static, Any>,
    batch: &[&Prepared],
    outcomes: &mut [Submitted],
    refused: &HashMap<&str, Submitted>,
) -> Result<(), StoreError> {
    for (prepared, outcome) in batch.iter().zip(outcomes) {
        let Some(key) = prepared.key.as_ref().map(|key| key.key.as_str()) else {
            continue;
        };
        let Some(refusal) = refused.get(key) else { continue };
        *outcome = *refusal;
        sqlx::query(FREE_KEY)
            .bind(key)
            .bind(prepared.id.to_string())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

impl Store {
    /// Returns the number of queued and running experiments of a submitter.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn unfinished_of(&self, submitter: &str) -> Result<u64, StoreError> {
        let counted = sqlx::query(UNFINISHED).bind(submitter).bind(i64::MAX);
        count(&counted.fetch_one(&self.reads).await?)
    }
}

/// Returns the maximum number of rows that need to be counted.
fn limit(max: u64) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn count(row: &sqlx::any::AnyRow) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>("experiments")?.unsigned_abs())
}
