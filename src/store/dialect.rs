use super::StoreError;

/// Which database it is, and every SQL text in which the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    pub fn of_url(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite),
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            _ => Err(StoreError::BadUrl(
                "accepted are sqlite://FILE, sqlite::memory: and postgres://USER:PASSWORD@HOST/DATABASE".to_owned(),
            )),
        }
    }

    /// SQLite takes the write lock at the start: taken later, it fails when another process wrote in between.
    pub fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Where an experiment stands, and nobody else moves it until the transaction ends.
    pub fn lock_one(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT state, attempt, cancel_requested_at_us FROM experiments WHERE id = $1",
            Self::Postgres => "SELECT state, attempt, cancel_requested_at_us FROM experiments WHERE id = $1 FOR UPDATE",
        }
    }

    /// Every experiment that is neither queued nor finished, likewise.
    pub fn lock_running(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT id, state, attempt, cancel_requested_at_us FROM experiments \
                 WHERE state IN ('starting', 'warming_up', 'measuring', 'aggregating') ORDER BY id"
            }
            Self::Postgres => {
                "SELECT id, state, attempt, cancel_requested_at_us FROM experiments \
                 WHERE state IN ('starting', 'warming_up', 'measuring', 'aggregating') ORDER BY id FOR UPDATE"
            }
        }
    }

    /// A row where migrations have been run.
    pub fn has_migrations(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT name FROM sqlite_schema WHERE name = '_sqlx_migrations'",
            Self::Postgres => "SELECT 1 FROM pg_tables WHERE tablename = '_sqlx_migrations'",
        }
    }
}
