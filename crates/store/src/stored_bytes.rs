//! The number of bytes that the submissions of each submitter take. Code that writes or shortens a spec updates it in
//! the same transaction.

use std::collections::BTreeMap;

use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::{Store, StoreError};

const READ: &str = "SELECT bytes FROM stored_bytes WHERE submitter = $1";

/// Adds the changes in bytes to the stored totals, in the order of the submitters, which rules out a deadlock between
/// servers.
pub async fn add<S: AsRef<str> + Ord>(
    transaction: &mut Transaction<'static, Any>,
    changes: &BTreeMap<S, i64>,
) -> Result<(), StoreError> {
    for (submitter, bytes) in changes {
        sqlx::query(
            "INSERT INTO stored_bytes (submitter, bytes) VALUES ($1, $2) \
             ON CONFLICT (submitter) DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes",
        )
        .bind(submitter.as_ref())
        .bind(bytes)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Returns the stored bytes of a submitter.
pub async fn of(transaction: &mut Transaction<'static, Any>, submitter: &str) -> Result<u64, StoreError> {
    let row = sqlx::query(READ)
        .bind(submitter)
        .fetch_optional(&mut **transaction)
        .await?;
    let bytes: Option<i64> = row.map(|row| row.try_get("bytes")).transpose()?;
    Ok(u64::try_from(bytes.unwrap_or(0)).unwrap_or(0))
}

impl Store {
    /// Returns the number of bytes that a submitter's submissions take.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn stored_bytes_of(&self, submitter: &str) -> Result<u64, StoreError> {
        let row = sqlx::query(READ).bind(submitter).fetch_optional(&self.reads).await?;
        let bytes: Option<i64> = row.map(|row| row.try_get("bytes")).transpose()?;
        Ok(u64::try_from(bytes.unwrap_or(0)).unwrap_or(0))
    }
}
