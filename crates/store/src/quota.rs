//! How many may wait, and how much may be stored. Counted by the writer, once for all that it commits together, so that no limit is passed however
//! many come at once, and a long queue costs a group one walk along an index.

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

/// Refuses those of a group's fresh submissions that find no room left by those that came before, and frees their keys.
pub async fn refuse(
    transaction: &mut Transaction<'static, Any>,
    group: &[&Prepared],
    outcomes: &mut [Submitted],
) -> Result<(), StoreError> {
    let most = group.iter().filter_map(|prepared| prepared.quota.queued).max();
    let mut waiting = match most {
        Some(most) => {
            let counted = sqlx::query(QUEUED).bind(limit(most));
            count(&counted.fetch_one(&mut **transaction).await?)?
        }
        None => 0,
    };
    let mut of_submitters: HashMap<&str, OfSubmitter> = HashMap::new();
    let mut refused_keys = HashMap::new();
    for (prepared, outcome) in group.iter().zip(outcomes.iter_mut()) {
        if *outcome != Submitted::Stored {
            continue;
        }
        let quota = prepared.quota;
        if quota.queued.is_some_and(|most| waiting >= most) {
            *outcome = Submitted::QueueFull;
        } else if let Some(submitter) = prepared.submitter() {
            if !of_submitters.contains_key(submitter) {
                let read = OfSubmitter::read(transaction, submitter, quota).await?;
                of_submitters.insert(submitter, read);
            }
            *outcome = of_submitters.entry(submitter).or_default().admit(prepared);
        }
        match (*outcome, &prepared.key) {
            (Submitted::Stored, _) => waiting += 1,
            (refusal, Some(key)) => drop(refused_keys.insert(key.key.as_str(), refusal)),
            (_, None) => {}
        }
    }
    free_keys(transaction, group, outcomes, &refused_keys).await
}

/// What a submitter has, with what came before in the group.
#[derive(Clone, Copy, Debug, Default)]
struct OfSubmitter {
    unfinished: u64,
    stored_bytes: u64,
}

impl OfSubmitter {
    async fn read(
        transaction: &mut Transaction<'static, Any>,
        submitter: &str,
        quota: Quota,
    ) -> Result<Self, StoreError> {
        let mut read = Self::default();
        if let Some(most) = quota.unfinished_of_submitter {
            let counted = sqlx::query(UNFINISHED).bind(submitter).bind(limit(most));
            read.unfinished = count(&counted.fetch_one(&mut **transaction).await?)?;
        }
        if quota.stored_bytes_of_submitter.is_some() {
            read.stored_bytes = stored_bytes::of(transaction, submitter).await?;
        }
        Ok(read)
    }

    /// Counts one more where there is room for it.
    fn admit(&mut self, prepared: &Prepared) -> Submitted {
        let quota = prepared.quota;
        if quota
            .unfinished_of_submitter
            .is_some_and(|most| self.unfinished >= most)
        {
            return Submitted::QuotaUsedUp;
        }
        let stored_bytes = self.stored_bytes.saturating_add(prepared.stored_bytes());
        if quota.stored_bytes_of_submitter.is_some_and(|most| stored_bytes > most) {
            let used_bytes = self.stored_bytes;
            return Submitted::TooMuchStored { used_bytes };
        }
        self.unfinished += 1;
        self.stored_bytes = stored_bytes;
        Submitted::Stored
    }
}

/// Whoever came with the same key in the same group is refused likewise: what it would repeat is not there.
async fn free_keys(
    transaction: &mut Transaction<'static, Any>,
    group: &[&Prepared],
    outcomes: &mut [Submitted],
    refused: &HashMap<&str, Submitted>,
) -> Result<(), StoreError> {
    for (prepared, outcome) in group.iter().zip(outcomes) {
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
    /// Counts what waits and runs of a submitter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_of(&self, submitter: &str) -> Result<u64, StoreError> {
        let counted = sqlx::query(UNFINISHED).bind(submitter).bind(i64::MAX);
        count(&counted.fetch_one(&self.reads).await?)
    }
}

/// No more are counted than matter.
fn limit(most: u64) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn count(row: &sqlx::any::AnyRow) -> Result<u64, StoreError> {
    Ok(row.try_get::<i64, _>("experiments")?.unsigned_abs())
}
