//! Begins and commits transactions in tasks of their own, so that they complete even when the caller is dropped, as
//! when a client disconnects. When a BEGIN is dropped halfway, sqlx returns the PostgreSQL connection to the pool with
//! a transaction open, and later writes there are neither committed nor rolled back.

use sqlx::any::Any;
use sqlx::{AnyPool, Transaction};

use super::dialect::Dialect;
use super::{DatabaseFile, Store, StoreError};

/// The connections for writes.
#[derive(Clone, Debug)]
pub struct Writer {
    pub dialect: Dialect,
    pub writes: AnyPool,
    pub file: Option<DatabaseFile>,
}

/// Begins a write transaction. When SQLite has rolled back a transaction because its disk was full, sqlx still counts
/// it as open and cannot begin another on that connection: the connection is then replaced.
///
/// # Errors
/// Returns an error when the database fails, and [`StoreError::FileGone`], before anything is written, when the SQLite
/// file is no longer at its path.
pub async fn begin(writer: &Writer) -> Result<Transaction<'static, Any>, StoreError> {
    let Writer { dialect, writes, file } = writer.clone();
    if let Some(file) = file {
        file.check()?;
    }
    // A transaction whose caller is gone is dropped, which rolls it back.
    run_to_completion(async move {
        match writes.begin_with(dialect.begin()).await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                writes.acquire().await?.close().await?;
                Ok(writes.begin_with(dialect.begin()).await?)
            }
            begun => Ok(begun?),
        }
    })
    .await
}

/// Commits a transaction.
pub async fn commit(transaction: Transaction<'static, Any>) -> Result<(), StoreError> {
    run_to_completion(async { Ok(transaction.commit().await?) }).await
}

/// Runs `work` to completion in a task of its own, even when this future is dropped.
async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
}

impl Store {
    /// Begins a write transaction; see [`begin`].
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        begin(&self.writer()).await
    }

    /// Returns the connections for writes.
    pub(super) fn writer(&self) -> Writer {
        Writer {
            dialect: self.dialect,
            writes: self.writes.clone(),
            file: self.file.clone(),
        }
    }

    /// Commits a transaction that may have changed a state, and notifies subscribers.
    pub(super) async fn commit_moves(&self, transaction: Transaction<'static, Any>) -> Result<(), StoreError> {
        let changes = self.changes.clone();
        run_to_completion(async move {
            let committed = transaction.commit().await;
            // Also after an error: the commit may have been made and only its answer lost.
            changes.notify();
            Ok(committed?)
        })
        .await
    }
}
