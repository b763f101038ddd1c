use sqlx::any::Any;
use sqlx::{AnyPool, Transaction};

use super::dialect::Dialect;
use super::{Store, StoreError};

/// Begins to write. SQLite ends a transaction by itself when its disk is full; sqlx goes on believing in it, and that
/// connection begins no other: it is replaced.
pub async fn begin(dialect: Dialect, writes: &AnyPool) -> Result<Transaction<'static, Any>, StoreError> {
    match writes.begin_with(dialect.begin()).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            writes.acquire().await?.close().await?;
            Ok(writes.begin_with(dialect.begin()).await?)
        }
        begun => Ok(begun?),
    }
}

impl Store {
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        begin(self.dialect, &self.writes).await
    }

    /// Commits what may have changed a state, and rings.
    pub(super) async fn commit_moves(&self, transaction: Transaction<'static, Any>) -> Result<(), StoreError> {
        let committed = transaction.commit().await;
        // Also where the answer was lost: the commit may have been made.
        self.moved.ring();
        Ok(committed?)
    }
}
