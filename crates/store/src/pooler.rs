//! Detection of poolers that use another PostgreSQL connection for each transaction. Prepared statements, locks and
//! settings belong to a session and would be lost or shared.

use sqlx::{AnyConnection, Connection as _, Row as _};

use super::StoreError;

/// The error for a pooler in transaction mode, at startup or, when idle connections hid it then, on the first failure.
pub const NEEDS_SESSION_POOLING: &str = "it leads to a pooler, such as pgbouncer, that changes the connection with each \
     transaction; joulemark needs session pooling (pgbouncer: pool_mode = session), or PostgreSQL's own address";

/// Sent with the simple protocol, since a pooler that changes connections breaks prepared statements.
const BACKEND_PID: &str = "SELECT CAST(pg_backend_pid() AS BIGINT) AS process";
/// Idle connections of the pooler to PostgreSQL can hide its mode for some rounds.
const ROUNDS: u32 = 3;

/// Compares the backend processes of two connections, the second within a transaction. Without a pooler, or with
/// session pooling, each connection keeps a backend of its own.
///
/// # Errors
/// Returns [`StoreError::BadUrl`] when a pooler changes the backends, and an error when the database fails.
pub async fn reject_transaction_pooling(url: &str) -> Result<(), StoreError> {
    let (mut one, mut other) = (AnyConnection::connect(url).await?, AnyConnection::connect(url).await?);
    let own = backend_pid(&mut one).await?;
    let mut is_changing = false;
    for _ in 0..ROUNDS {
        // A pooler in statement mode rejects transactions.
        if let Err(sqlx::Error::Database(error)) = sqlx::raw_sql("BEGIN").execute(&mut other).await
            && error.code().is_some_and(|code| code == "08P01")
        {
            return Err(StoreError::BadUrl(NEEDS_SESSION_POOLING.to_owned()));
        }
        let of_other = backend_pid(&mut other).await?;
        let again = backend_pid(&mut one).await?;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
        is_changing |= of_other == own || again != own;
    }
    one.close().await?;
    other.close().await?;
    match is_changing {
        true => Err(StoreError::BadUrl(NEEDS_SESSION_POOLING.to_owned())),
        false => Ok(()),
    }
}

/// Returns the id of the PostgreSQL backend process that serves a connection.
///
/// # Errors
/// Returns an error when the database fails.
pub async fn backend_pid(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let row = sqlx::raw_sql(BACKEND_PID).fetch_one(connection).await?;
    Ok(row.try_get("process")?)
}
