use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use thiserror::Error;

use super::pooler::NEEDS_SESSION_POOLING;
use joulemark_experiment::{ExperimentId, IllegalMove};

/// What went wrong; the variant is the caller's next move.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Try again later: out of reach, busy, or its disk is full. Unless a commit's answer was lost, nothing changed;
    /// every write may be repeated, since it then finds its own work done.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Have the operator put the file back, or start the server anew on the one that is there: nothing changed.
    #[error("the database's file was moved away beneath the server: {0}")]
    FileGone(String),
    /// Give up and have the operator correct the setting.
    #[error("the database's URL is not usable: {0}")]
    BadUrl(String),
    /// Give up: only a newer joulemark may write to this database.
    #[error("the database has schema {found}, this joulemark knows up to {known}: run a newer joulemark")]
    NewerSchema { found: i64, known: i64 },
    /// Give up: the schema must be brought up to date before.
    #[error("the database has schema {found}, this joulemark needs {known}: run `joulemark db migrate`")]
    OlderSchema { found: i64, known: i64 },
    /// Give up on it: what is stored cannot be read back, and neither will it be the next time.
    #[error("{what} in the database cannot be read: {reason}")]
    Corrupt { what: String, reason: String },
    /// Give up: the database will refuse the same again.
    #[error("the database refuses: {0}")]
    Refused(#[source] sqlx::Error),
    /// Nothing to do: the id is stored already.
    #[error("experiment {0} is stored already")]
    Duplicate(ExperimentId),
    #[error("there is no experiment {0}")]
    NotFound(ExperimentId),
    /// Stop working on it: the experiment went back to the queue, to another attempt, or came to its end elsewhere.
    #[error("attempt {attempt} no longer holds experiment {id}")]
    Lost { id: ExperimentId, attempt: u32 },
    /// A mistake of the caller.
    #[error(transparent)]
    IllegalMove(#[from] IllegalMove),
}

impl StoreError {
    /// Whether this attempt must leave the experiment alone.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::FileGone(_))
    }

    /// Whether what is missing is room on the database's disk.
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

    /// Tells whether PostgreSQL ended a statement that took longer than it may.
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
        // PostgreSQL's error classes (its manual's appendix A), by the first two characters.
        return match code.get(..2) {
            // Connection, rollback by the server, resources such as a full disk, operator's shutdown, its file system.
            Some("08" | "40" | "53" | "57" | "58") => Verdict::Retry,
            Some("XX") => Verdict::Broken,
            // A prepared statement that is there already, or is not there: we never name one twice, nor forget one.
            _ if code == "42P05" || code == "26000" => Verdict::Pooler,
            // Read-only: a standby, perhaps about to be promoted.
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
