//! Reads that may take long: those whose length a request decides. They take turns by caller, so that nobody's keep
//! another's waiting, and end when nobody waits for them any more.

use futures::future::BoxFuture;
use sqlx::AnyConnection;
use tokio::sync::oneshot;

use super::dialect::Dialect;
use super::pooler::process;
use super::{Store, StoreError};

/// How much of the turns one caller may have, in percent.
pub const SHARE_PERCENT: u32 = 50;

impl Store {
    /// Returns the same store whose long reads are this caller's.
    #[must_use]
    pub fn on_behalf_of(&self, caller: &str) -> Self {
        Self {
            caller: caller.into(),
            ..self.clone()
        }
    }

    /// Runs `read` on a connection of its own, in the caller's turn.
    ///
    /// Given up by who asked for it, PostgreSQL is told to end it; SQLite ends by itself. The turn is over when the
    /// database is done, not before: else whoever asks and leaves at once would keep every connection busy.
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
                Dialect::Postgres => Some(process(&mut connection).await?),
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

    /// Asks PostgreSQL to end what this process of it does. It takes that amiss in nobody: the statement was given up.
    async fn end_statement_of(&self, process: i64) {
        let text = "SELECT CAST(pg_cancel_backend(CAST($1 AS INTEGER)) AS TEXT) AS is_told";
        if let Err(error) = sqlx::query(text).bind(process).execute(&self.own).await {
            tracing::warn!(%error, "a read that nobody waits for cannot be ended");
        }
    }
}
