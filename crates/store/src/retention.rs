//! Retention of raw data by age and by size. Experiments and their results are never dropped.

use jiff::Timestamp;
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::record::{from_json, id as id_of, to_json, to_us};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::ExperimentId;
use joulemark_measurement::RankCycle;

/// Maximum number of experiments in one transaction, which bounds the wait of other writers.
const MAX_EXPERIMENTS_PER_TRANSACTION: i64 = 50;

/// Raw data of finished experiments, oldest first; an unfinished one may still add to its own. Written without a join,
/// for which SQLite would read every finished experiment.
pub(super) const OLDEST: &str = "SELECT r.experiment_id, r.stored_at_us, r.stored_bytes FROM raw_data r \
     WHERE r.dropped_at_us IS NULL AND EXISTS (SELECT 1 FROM experiments e WHERE e.id = r.experiment_id \
     AND e.state IN ('completed', 'failed', 'cancelled')) ORDER BY r.stored_at_us, r.experiment_id LIMIT $1";

/// How much raw data is retained; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Raw data stored before this time is dropped.
    pub not_before: Option<Timestamp>,
    /// Maximum compressed size of all raw data in bytes; the oldest is dropped first.
    pub max_bytes: Option<u64>,
}

/// The amount of raw data that was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub experiments: u64,
    pub bytes: u64,
}

impl Store {
    /// Drops the raw data of finished experiments that exceeds `retention`: time series, and the requests of each rank
    /// and cycle.
    ///
    /// # Errors
    /// Returns an error when the database fails; what was dropped before stays dropped.
    pub async fn drop_raw_data(&self, retention: Retention, now: Timestamp) -> Result<Dropped, StoreError> {
        let mut dropped = Dropped::default();
        loop {
            // Counted in each round, because another server may drop raw data at the same time.
            let mut excess = match retention.max_bytes {
                Some(max) => self.raw_data_bytes().await?.saturating_sub(max),
                None => 0,
            };
            let mut to_drop = Vec::new();
            for (id, stored_at_us, bytes) in self.oldest_raw_data().await? {
                let too_old = retention.not_before.is_some_and(|time| stored_at_us < to_us(time));
                if !too_old && excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(bytes);
                to_drop.push((id, bytes));
            }
            if to_drop.is_empty() {
                return Ok(dropped);
            }
            let mut transaction = self.begin().await?;
            for (id, _) in &to_drop {
                drop_raw_data_of(&mut transaction, *id, now).await?;
            }
            commit(transaction).await?;
            dropped.experiments += to_drop.len() as u64;
            dropped.bytes += to_drop.iter().map(|(_, bytes)| bytes).sum::<u64>();
        }
    }

    /// Returns the compressed size of all raw data in bytes.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn raw_data_bytes(&self) -> Result<u64, StoreError> {
        let text = "SELECT CAST(COALESCE(SUM(stored_bytes), 0) AS BIGINT) AS bytes FROM raw_data \
             WHERE dropped_at_us IS NULL";
        let row = sqlx::query(text).fetch_one(&self.reads).await?;
        let bytes: i64 = row.try_get("bytes")?;
        Ok(bytes.unsigned_abs())
    }

    async fn oldest_raw_data(&self) -> Result<Vec<(ExperimentId, i64, u64)>, StoreError> {
        let rows = sqlx::query(OLDEST)
            .bind(MAX_EXPERIMENTS_PER_TRANSACTION)
            .fetch_all(&self.writes)
            .await?;
        let read = |row| {
            let bytes: i64 = Row::try_get(row, "stored_bytes")?;
            Ok((
                id_of(row, "experiment_id")?,
                row.try_get("stored_at_us")?,
                bytes.unsigned_abs(),
            ))
        };
        rows.iter().map(read).collect()
    }
}

async fn drop_raw_data_of(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    for text in [
        "DELETE FROM raw_blocks WHERE experiment_id = $1",
        "DELETE FROM device_series WHERE experiment_id = $1",
        "DELETE FROM timeseries WHERE experiment_id = $1",
    ] {
        sqlx::query(text)
            .bind(id.to_string())
            .execute(&mut **transaction)
            .await?;
    }
    drop_inline_requests(transaction, id).await?;
    sqlx::query("UPDATE raw_data SET dropped_at_us = $1, stored_bytes = 0 WHERE experiment_id = $2")
        .bind(to_us(now))
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Removes requests from the measurements, where releases up to 0.1 stored them.
async fn drop_inline_requests(transaction: &mut Transaction<'static, Any>, id: ExperimentId) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT cycle, worker_rank, measurement FROM rank_cycles WHERE experiment_id = $1")
        .bind(id.to_string())
        .fetch_all(&mut **transaction)
        .await?;
    for row in rows {
        let what = format!("a measurement of experiment {id}");
        let mut measurement: RankCycle = from_json(&what, row.try_get("measurement")?)?;
        if measurement.requests.is_empty() {
            continue;
        }
        measurement.requests.clear();
        sqlx::query(
            "UPDATE rank_cycles SET measurement = $1 WHERE experiment_id = $2 AND cycle = $3 AND worker_rank = $4",
        )
        .bind(to_json(&measurement)?)
        .bind(id.to_string())
        .bind(row.try_get::<i64, _>("cycle")?)
        .bind(row.try_get::<i64, _>("worker_rank")?)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}
