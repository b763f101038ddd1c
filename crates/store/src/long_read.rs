//! Reads whose duration depends on the request. Callers share the permits for them fairly, and a read is cancelled when
//! the caller stops waiting.

use futures::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::sync::oneshot;

use super::dialect::Dialect;
use super::pooler::backend_pid;
use super::{Store, StoreError};

/// Maximum share of the permits that one caller may hold, in percent.
pub const SHARE_PERCENT: u32 = 50;

impl Store {
    /// Returns a handle to the same database whose long reads are attributed to `caller`.
    #[must_use]
    pub fn on_behalf_of(&self, caller: &str) -> Self {
        Self {
            caller: caller.into(),
            ..self.clone()
        }
    }

    /// Runs `read` on a connection of its own, once the caller has a permit.
    ///
    /// When this future is dropped, PostgreSQL is asked to cancel the statement; SQLite stops without being asked. The
    /// permit is returned when the database has finished, so that a client that sends requests and disconnects cannot
    /// occupy every connection.
    pub(super) async fn read_long<T: Send + 'static>(
        &self,
        read: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turns.take(&self.caller).await;
        let (_asking, gone) = oneshot::channel::<()>();
        let store = self.clone();
        let reading = tokio::spawn(async move {
            let _turn = turn;
            let mut connection = store.reads.acquire().await?;
            let process = match store.dialect {
                Dialect::Sqlite => None,
                Dialect::Postgres => Some(backend_pid(&mut connection).await?),
            };
            let mut reading = read(&mut connection);
            tokio::select! {
                biased;
                done = &mut reading => return done,
                _ = gone => {}
            }
            if let Some(process) = process {
                store.end_statement_of(process).await;
            }
            reading.await
        });
        let done = reading.await;
        done.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }

    /// Asks PostgreSQL to cancel the statement that this backend process is running.
    async fn end_statement_of(&self, process: i64) {
        let text = "SELECT CAST(pg_cancel_backend(CAST($1 AS INTEGER)) AS TEXT) AS is_told";
        if let Err(error) = sqlx::query(text).bind(process).execute(&self.internal).await {
            tracing::warn!(%error, "a read that was abandoned by its client cannot be cancelled");
        }
    }
}
