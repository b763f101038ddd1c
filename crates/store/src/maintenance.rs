use std::path::Path;

use super::{Store, StoreError};

impl Store {
    /// Gives the room of what was deleted back to the file system. Takes about as much room beside, for as long.
    ///
    /// # Errors
    /// When the database fails, or its disk has not that room.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        sqlx::raw_sql("VACUUM").execute(&self.writes).await?;
        Ok(())
    }

    /// SQLite: writes all that is committed now into a database at `path`, which is missing or empty, while others read
    /// and write this one.
    ///
    /// # Errors
    /// When the database fails, or a file is there already.
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
