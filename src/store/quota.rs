use sqlx::Row;

use super::{Store, StoreError};

impl Store {
    /// How many experiments wait, of everybody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_length(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS experiments FROM experiments WHERE state = 'queued'")
            .fetch_one(&self.reads)
            .await?;
        Ok(row.try_get::<i64, _>("experiments")?.unsigned_abs())
    }

    /// How many experiments of this submitter wait or run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unfinished_of(&self, submitter: &str) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS experiments FROM experiments WHERE submitter = $1 \
             AND state IN ('queued', 'starting', 'warming_up', 'measuring', 'aggregating')",
        )
        .bind(submitter)
        .fetch_one(&self.reads)
        .await?;
        Ok(row.try_get::<i64, _>("experiments")?.unsigned_abs())
    }
}
