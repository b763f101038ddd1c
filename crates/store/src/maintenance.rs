use std::path::Path;

use super::{Store, StoreError};

impl Store {
    /// Runs VACUUM. SQLite returns the space of deleted rows to the file system, and meanwhile needs about as much free
    /// disk space as the data takes; PostgreSQL makes the space reusable.
    ///
    /// # Errors
    /// Returns an error when the database fails, or there is not enough disk space.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        sqlx::raw_sql("VACUUM").execute(&self.writes).await?;
        Ok(())
    }

    /// Copies everything that is committed into a new SQLite database at `path`, which must be missing or empty. Other
    /// connections can read and write meanwhile. SQLite only.
    ///
    /// # Errors
    /// Returns an error when the database fails, or `path` is a file that is not empty.
    pub async fn copy_into(&self, path: &Path) -> Result<(), StoreError> {
        let path = path
            .to_str()
            .ok_or_else(|| StoreError::BadUrl("the copy's path is not UTF-8".to_owned()))?;
        sqlx::query("VACUUM INTO $1")
            .bind(path.to_owned())
            .execute(&self.reads)
            .await?;
        Ok(())
    }
}
