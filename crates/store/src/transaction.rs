//! The beginning and the end of a transaction, each done whole, whatever becomes of who asked for it: a client may hang
//! up, a run may be ended. Given up halfway through a BEGIN, sqlx hands PostgreSQL's connection to the next one with a
//! transaction open that nobody knows of, and what is written there is neither committed nor rolled back.

use sqlx::any::Any;
use sqlx::{AnyPool, Transaction};

use super::dialect::Dialect;
use super::{DatabaseFile, Store, StoreError};

/// The way to write to a database.
#[derive(Clone, Debug)]
pub struct Writer {
    pub dialect: Dialect,
    pub writes: AnyPool,
    pub file: Option<DatabaseFile>,
}

/// Begins to write. SQLite ends a transaction by itself when its disk is full; sqlx goes on believing in it, and that
/// connection begins no other: it is replaced.
///
/// # Errors
/// Among others when the SQLite file is no longer under its name; nothing is written to it then.
pub async fn begin(writer: &Writer) -> Result<Transaction<'static, Any>, StoreError> {
    let Writer { dialect, writes, file } = writer.clone();
    if let Some(file) = file {
        file.check()?;
    }
    // One that nobody waits for any more is dropped, and so rolled back.
    whole(async move {
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

pub async fn commit(transaction: Transaction<'static, Any>) -> Result<(), StoreError> {
    whole(async { Ok(transaction.commit().await?) }).await
}

async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
}

impl Store {
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        begin(&self.writer()).await
    }

    pub(super) fn writer(&self) -> Writer {
        Writer {
            dialect: self.dialect,
            writes: self.writes.clone(),
            file: self.file.clone(),
        }
    }

    /// Commits what may have changed a state, and rings.
    pub(super) async fn commit_moves(&self, transaction: Transaction<'static, Any>) -> Result<(), StoreError> {
        let moved = self.moved.clone();
        whole(async move {
            let committed = transaction.commit().await;
            // Also where the answer was lost: the commit may have been made.
            moved.ring();
            Ok(committed?)
        })
        .await
    }
}
