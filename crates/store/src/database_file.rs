//! Knows the SQLite file that was opened from another one under its name: what is written to a file that was moved away
//! or replaced would be gone after the restart.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sqlx::{AnyPool, Row as _};

use super::StoreError;

/// An SQLite file as it was when it was opened.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl DatabaseFile {
    /// Returns the file behind an open SQLite database; `None` for one in memory.
    ///
    /// # Errors
    /// When the database fails, or the file is gone already.
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

    /// Looks whether the file is still there under its name. Blocks for one look at a folder.
    ///
    /// # Errors
    /// [`StoreError::FileGone`] when it is not.
    pub fn check(&self) -> Result<(), StoreError> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.identity => Ok(()),
            Ok(_) => Err(gone("another file has its place")),
            Err(error) => Err(gone(&error.to_string())),
        }
    }
}

fn gone(reason: &str) -> StoreError {
    StoreError::FileGone(reason.to_owned())
}
