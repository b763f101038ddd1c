//! Refuses a pooler that gives each transaction another connection: prepared statements, locks and settings belong to a
//! session, and would be another's.

use sqlx::{AnyConnection, Connection as _, Row as _};

use super::StoreError;

/// What is said of a pooler in transaction mode, at the start or, of one that hid it there, when it shows.
pub const NEEDS_SESSION_POOLING: &str = "it leads to a pooler, such as pgbouncer, that changes the connection with each \
     transaction; joulemark needs session pooling (pgbouncer: pool_mode = session), or PostgreSQL's own address";

/// With the simple protocol: a pooler that changes connections confuses prepared statements.
const PROCESS: &str = "SELECT CAST(pg_backend_pid() AS BIGINT) AS process";
/// A pooler may have idle connections to PostgreSQL that hide what it does, for a while.
const ROUNDS: u32 = 3;

/// Compares which process of PostgreSQL serves each of two connections, the second within a transaction: without a
/// pooler, or with session pooling, each has one of its own all along.
///
/// # Errors
/// [`StoreError::BadUrl`] when a pooler changes them; otherwise when the database fails.
pub async fn refuse_transaction_pooling(url: &str) -> Result<(), StoreError> {
    let (mut one, mut other) = (AnyConnection::connect(url).await?, AnyConnection::connect(url).await?);
    let own = process(&mut one).await?;
    let mut is_changing = false;
    for _ in 0..ROUNDS {
        // A pooler that gives each statement another one knows of no transactions.
        if let Err(sqlx::Error::Database(error)) = sqlx::raw_sql("BEGIN").execute(&mut other).await
            && error.code().is_some_and(|code| code == "08P01")
        {
            return Err(StoreError::BadUrl(NEEDS_SESSION_POOLING.to_owned()));
        }
        let of_other = process(&mut other).await?;
        let again = process(&mut one).await?;
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

/// Returns which process of PostgreSQL serves a connection.
///
/// # Errors
/// When the database fails.
pub async fn process(connection: &mut AnyConnection) -> Result<i64, StoreError> {
    let row = sqlx::raw_sql(PROCESS).fetch_one(connection).await?;
    Ok(row.try_get("process")?)
}
