use jiff::Timestamp;
use sqlx::Row;

use super::record::{from_json, to_json};
use super::standing::set_state;
use super::{Store, StoreError};
use crate::experiment::{ExperimentId, State};
use crate::measurement::RankCycle;
use crate::report::Report;

impl Store {
    /// Stores the results and the state `completed` in one transaction: both are there or neither.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds it, [`StoreError::IllegalMove`] when it is not aggregating.
    pub async fn complete(
        &self,
        id: ExperimentId,
        attempt: u32,
        report: &Report,
        cycles: &[RankCycle],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let report = to_json(report)?;
        let cycles = cycles
            .iter()
            .map(|cycle| Ok((i64::from(cycle.cycle), i64::from(cycle.rank), to_json(cycle)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mut transaction = self.begin().await?;
        if self
            .lock_held(&mut transaction, (id, attempt), State::Completed)
            .await?
            .is_none()
        {
            return Ok(());
        }
        sqlx::query("INSERT INTO reports (experiment_id, report) VALUES ($1, $2)")
            .bind(id.to_string())
            .bind(report)
            .execute(&mut *transaction)
            .await?;
        for (cycle, rank, measurement) in cycles {
            sqlx::query(
                "INSERT INTO rank_cycles (experiment_id, cycle, worker_rank, measurement) VALUES ($1, $2, $3, $4)",
            )
            .bind(id.to_string())
            .bind(cycle)
            .bind(rank)
            .bind(measurement)
            .execute(&mut *transaction)
            .await?;
        }
        set_state(&mut transaction, id, (State::Completed, None), now).await?;
        Ok(transaction.commit().await?)
    }

    /// The report of a completed experiment; none of any other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report(&self, id: ExperimentId) -> Result<Option<Report>, StoreError> {
        let row = sqlx::query("SELECT report FROM reports WHERE experiment_id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        from_json(&format!("the report of experiment {id}"), row.try_get("report")?).map(Some)
    }

    /// The raw results of a completed experiment, by cycle and rank; none of any other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rank_cycles(&self, id: ExperimentId) -> Result<Vec<RankCycle>, StoreError> {
        let text = "SELECT measurement FROM rank_cycles WHERE experiment_id = $1 ORDER BY cycle, worker_rank";
        let rows = sqlx::query(text).bind(id.to_string()).fetch_all(&self.reads).await?;
        let what = format!("a measurement of experiment {id}");
        rows.iter()
            .map(|row| from_json(&what, row.try_get("measurement")?))
            .collect()
    }
}
