//! Detects that the open SQLite file was moved or replaced. What is written to such a file would be lost at the next
//! restart.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sqlx::{AnyPool, Row as _};

use super::StoreError;

/// The identity of an SQLite file at the time when it was opened.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Device and inode numbers.
    identity: (u64, u64),
}

impl DatabaseFile {
    /// Returns the file of an open SQLite database; `None` for a database in memory.
    ///
    /// # Errors
    /// Returns an error when the database fails, or the file no longer exists.
    pub async fn opened(pool: &AnyPool) -> Result<Option<Self>, StoreError> {
        let rows = sqlx::raw_sql("SELECT file FROM pragma_database_list WHERE name = 'main'")
            .fetch_all(pool)
            .await?;
        let path = rows.first().and_then(|row| row.try_get::<String, _>("file").ok());
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let path = PathBuf::from(path);
        let metadata = std::fs::metadata(&path).map_err(|error| gone(&error.to_string()))?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Some(Self { path, identity }))
    }

    /// Checks that the path still leads to the file that was opened. Blocks for one `stat` call.
    ///
    /// # Errors
    /// Returns [`StoreError::FileGone`] when it does not.
    pub fn check(&self) -> Result<(), StoreError> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.identity => Ok(()),
            Ok(_) => Err(gone("another file is in its place")),
            Err(error) => Err(gone(&error.to_string())),
        }
    }
}

fn gone(reason: &str) -> StoreError {
    StoreError::FileGone(reason.to_owned())
}
