//! Changes the labels of a stored experiment, in any state. The spec, which can contain megabytes of prompts, is not
//! rewritten: the present labels are stored beside it and in the index that lists use.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::record::{to_json, to_us};
use super::transaction::commit;
use super::{Store, StoreError, audit};
use joulemark_experiment::access::AuditEntry;
use joulemark_experiment::{ExperimentId, LabelChanges, MAX_LABELS};

/// The result of a change of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relabelled {
    /// The labels are as requested.
    Done,
    /// The experiment would have this many labels, more than [`MAX_LABELS`]; nothing was changed.
    TooMany(usize),
    NotFound,
}

impl Store {
    /// Changes labels and writes `entry` to the audit log. A request that changes nothing is not logged.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn relabel(
        &self,
        id: ExperimentId,
        changes: &LabelChanges,
        entry: &AuditEntry,
    ) -> Result<Relabelled, StoreError> {
        let mut transaction = self.begin().await?;
        if self.lock(&mut transaction, id).await?.is_none() {
            return Ok(Relabelled::NotFound);
        }
        let before = labels_of(&mut transaction, id).await?;
        let after = changes.applied_to(before.clone());
        if after.len() > MAX_LABELS {
            return Ok(Relabelled::TooMany(after.len()));
        }
        if after == before {
            return Ok(Relabelled::Done);
        }
        for label in before.keys().filter(|label| after.get(*label) != before.get(*label)) {
            sqlx::query("DELETE FROM experiment_labels WHERE experiment_id = $1 AND label = $2")
                .bind(id.to_string())
                .bind(label)
                .execute(&mut *transaction)
                .await?;
        }
        for (label, value) in after.iter().filter(|(label, value)| before.get(*label) != Some(value)) {
            let text = "INSERT INTO experiment_labels (experiment_id, label, value, finished_at_us) \
                 SELECT id, $2, $3, finished_at_us FROM experiments WHERE id = $1";
            sqlx::query(text)
                .bind(id.to_string())
                .bind(label)
                .bind(value)
                .execute(&mut *transaction)
                .await?;
        }
        note(&mut transaction, id, &after, entry.at).await?;
        audit::write(&mut transaction, entry).await?;
        commit(transaction).await?;
        Ok(Relabelled::Done)
    }
}

async fn labels_of(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = sqlx::query("SELECT label, value FROM experiment_labels WHERE experiment_id = $1")
        .bind(id.to_string())
        .fetch_all(&mut **transaction)
        .await?;
    let pair = |row: &sqlx::any::AnyRow| Ok((row.try_get("label")?, row.try_get("value")?));
    rows.iter().map(pair).collect()
}

/// Stores the present labels. `updated_at` always increases, even for two changes within a microsecond, because clients
/// identify a version of an experiment by it.
async fn note(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    labels: &BTreeMap<String, String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = "UPDATE experiments SET labels = $1, \
         updated_at_us = CASE WHEN updated_at_us >= $2 THEN updated_at_us + 1 ELSE $2 END WHERE id = $3";
    sqlx::query(text)
        .bind(to_json(labels)?)
        .bind(to_us(now))
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
