use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use thiserror::Error;

use super::pooler::NEEDS_SESSION_POOLING;
use joulemark_experiment::{ExperimentId, IllegalMove};

/// An error of the store. Each variant determines what the caller does next.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached, is busy, or has no disk space left. Try again later. Nothing changed, unless the
    /// answer to a commit was lost; every write can be repeated, since it recognises its own work.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// The SQLite file was moved or replaced. The operator must put it back, or restart the server on the present one.
    /// Nothing changed.
    #[error("the database file was moved or replaced while the server was running: {0}")]
    FileGone(String),
    /// The operator must correct the URL.
    #[error("the database's URL is not usable: {0}")]
    BadUrl(String),
    /// Only a newer joulemark may write to this database.
    #[error(
        "the database has schema {found}, but this joulemark supports at most schema {known}: run a newer joulemark"
    )]
    NewerSchema { found: i64, known: i64 },
    /// The schema must be migrated first.
    #[error("the database has schema {found}, but this joulemark needs schema {known}: run `joulemark db migrate`")]
    OlderSchema { found: i64, known: i64 },
    /// What is stored cannot be read back; trying again does not help.
    #[error("{what} in the database cannot be read: {reason}")]
    Corrupt { what: String, reason: String },
    /// The database rejects the statement; it will reject it again.
    #[error("the database rejected a statement: {0}")]
    Refused(#[source] sqlx::Error),
    /// The id is stored already; there is nothing left to do.
    #[error("experiment {0} is stored already")]
    Duplicate(ExperimentId),
    #[error("there is no experiment {0}")]
    NotFound(ExperimentId),
    /// The experiment went back to the queue, belongs to another attempt, or has ended. Stop working on it.
    #[error("attempt {attempt} no longer holds experiment {id}")]
    Lost { id: ExperimentId, attempt: u32 },
    /// The transition does not exist; an error in the calling code.
    #[error(transparent)]
    IllegalMove(#[from] IllegalMove),
}

impl StoreError {
    /// Returns whether this attempt must stop working on the experiment.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Returns whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::FileGone(_))
    }

    /// Returns whether the database's disk is full.
    pub fn is_disk_full(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        match error.as_ref() {
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::StorageFull,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                if error.try_downcast_ref::<PgDatabaseError>().is_some() {
                    return code == "53100";
                }
                // SQLITE_FULL.
                code.parse::<u32>().is_ok_and(|code| code & 0xff == 13)
            }
            _ => false,
        }
    }

    /// Returns whether PostgreSQL ended a statement at its `statement_timeout` or on request.
    pub fn is_statement_timeout(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let database = error.as_database_error();
        database.is_some_and(|error| {
            error.try_downcast_ref::<PgDatabaseError>().is_some() && error.code().is_some_and(|code| code == "57014")
        })
    }

    pub(super) fn corrupt(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        match &error {
            Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
                Self::Unavailable(Arc::new(error))
            }
            Error::Configuration(reason) => Self::BadUrl(reason.to_string()),
            Error::ColumnDecode { index, source } => Self::corrupt(format!("column {index}"), source),
            Error::Decode(source) => Self::corrupt("a value", source),
            Error::Database(database) => match verdict(database.as_ref()) {
                Verdict::Retry => Self::Unavailable(Arc::new(error)),
                Verdict::Broken => Self::corrupt("the file", database),
                Verdict::Pooler => Self::BadUrl(NEEDS_SESSION_POOLING.to_owned()),
                Verdict::Refused => Self::Refused(error),
            },
            _ => Self::Refused(error),
        }
    }
}

enum Verdict {
    Retry,
    Broken,
    Pooler,
    Refused,
}

fn verdict(error: &(dyn DatabaseError + 'static)) -> Verdict {
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<PgDatabaseError>().is_some() {
        // PostgreSQL's error classes (appendix A of its manual) are the first two characters.
        return match code.get(..2) {
            // Connection, transaction rollback, insufficient resources such as a full disk, operator intervention,
            // system error.
            Some("08" | "40" | "53" | "57" | "58") => Verdict::Retry,
            Some("XX") => Verdict::Broken,
            // A prepared statement exists twice or not at all, which happens only behind a pooler.
            _ if code == "42P05" || code == "26000" => Verdict::Pooler,
            // Read-only transaction: a standby, which may be promoted.
            _ if code == "25006" => Verdict::Retry,
            _ => Verdict::Refused,
        };
    }
    // SQLite's result codes; the low byte is the primary one.
    match code.parse::<u32>().map(|code| code & 0xff) {
        // BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN.
        Ok(5 | 6 | 7 | 10 | 13 | 14) => Verdict::Retry,
        // CORRUPT, NOTADB.
        Ok(11 | 26) => Verdict::Broken,
        _ => Verdict::Refused,
    }
}
