use sqlx::Row;

use super::record::{record, select_records};
use super::{Record, Store, StoreError};
use joulemark_experiment::{ExperimentId, State};

impl Store {
    /// Returns an experiment; `None` for an unknown id.
    ///
    /// # Errors
    /// Returns an error when the database fails, or the experiment cannot be read back.
    pub async fn get(&self, id: ExperimentId) -> Result<Option<Record>, StoreError> {
        let row = sqlx::query(select_records!("experiments e WHERE e.id = $1"))
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        Ok(row.as_ref().map(record).transpose()?.map(|(record, _)| record))
    }

    /// Returns the number of experiments in each state, including states with none.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn counts_by_state(&self) -> Result<Vec<(State, u64)>, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS experiments FROM experiments GROUP BY state")
            .fetch_all(&self.reads)
            .await?;
        let mut counts: Vec<(State, u64)> = State::ALL.into_iter().map(|state| (state, 0)).collect();
        for row in &rows {
            let state = super::record::state(row)?;
            let count: i64 = row.try_get("experiments")?;
            if let Some((_, known)) = counts.iter_mut().find(|(known, _)| *known == state) {
                *known = count.unsigned_abs();
            }
        }
        Ok(counts)
    }
}
