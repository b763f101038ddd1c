use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::record::{from_us, to_us};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::access::{Action, AuditEntry, NotAKeyId};
use joulemark_measurement::quoted;

/// Greater than every id: the cursor of a first page.
const AFTER_ALL_IDS: &str = "g";

/// Writes an entry in the given transaction, which also performs the action that the entry records.
pub async fn write(transaction: &mut Transaction<'static, Any>, entry: &AuditEntry) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_log (id, at_us, action, subject, name, key_id, address) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(entry.id.to_string())
    .bind(to_us(entry.at))
    .bind(entry.action.as_str())
    .bind(&entry.subject)
    .bind(&entry.name)
    .bind(entry.key_id.as_ref().map(|id| id.as_str().to_owned()))
    .bind(&entry.address)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Writes an entry in a transaction of its own, before the action that it records.
    ///
    /// # Errors
    /// Returns an error when the database fails. The caller must then not perform the action.
    pub async fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        write(&mut transaction, entry).await?;
        commit(transaction).await
    }

    /// Returns at most `limit` entries of the audit log, newest first; only entries older than `before` when it is
    /// given.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn audit_log(&self, before: Option<uuid::Uuid>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let before = before.map_or_else(|| AFTER_ALL_IDS.to_owned(), |id| id.to_string());
        let rows = sqlx::query(
            "SELECT id, at_us, action, subject, name, key_id, address FROM audit_log \
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(&self.reads)
        .await?;
        rows.iter().map(entry).collect()
    }
}

fn entry(row: &AnyRow) -> Result<AuditEntry, StoreError> {
    let id: &str = row.try_get("id")?;
    let corrupt = |what: &str, reason: String| {
        StoreError::corrupt(format!("the {what} of audit entry {id}", id = quoted(&id)), reason)
    };
    let action: &str = row.try_get("action")?;
    let key_id: Option<String> = row.try_get("key_id")?;
    Ok(AuditEntry {
        id: id
            .parse()
            .map_err(|reason: uuid::Error| corrupt("id", reason.to_string()))?,
        at: from_us(row.try_get("at_us")?)?,
        action: Action::named(action)
            .ok_or_else(|| corrupt("action", format!("{action} is not an action", action = quoted(&action))))?,
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        key_id: key_id
            .map(|id| {
                id.parse()
                    .map_err(|reason: NotAKeyId| corrupt("key", reason.to_string()))
            })
            .transpose()?,
        address: row.try_get("address")?,
    })
}
