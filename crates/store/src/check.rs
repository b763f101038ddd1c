//! What is stored, and whether it can be read back. Changes nothing.

use futures::TryStreamExt as _;
use sqlx::Row;

use super::dialect::Dialect;
use super::raw;
use super::record::{from_json, id as id_of, record, select_records};
use super::stored_report::report;
use super::{Store, StoreError};
use joulemark_experiment::State;
use joulemark_measurement::RankCycle;

/// A kind of raw data: so many samples or tokens in so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptPoints {
    pub points: u64,
    pub bytes: u64,
}

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub by_state: Vec<(State, u64)>,
    /// Experiments whose raw data is kept.
    pub raw_experiments: u64,
    pub raw_bytes: u64,
    pub samples: KeptPoints,
    pub tokens: KeptPoints,
}

impl Store {
    /// # Errors
    /// When the database fails.
    pub async fn contents(&self) -> Result<Contents, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS experiments FROM raw_data WHERE dropped_at_us IS NULL")
            .fetch_one(&self.reads)
            .await?;
        Ok(Contents {
            by_state: self.counts_by_state().await?,
            raw_experiments: unsigned(row.try_get("experiments")?),
            raw_bytes: self.raw_data_bytes().await?,
            samples: self.kept_points("device/%").await?,
            tokens: self.kept_points("requests/%").await?,
        })
    }

    async fn kept_points(&self, streams: &str) -> Result<KeptPoints, StoreError> {
        let text = "SELECT CAST(COALESCE(SUM(points), 0) AS BIGINT) AS points, \
             CAST(COALESCE(SUM(LENGTH(columns)), 0) AS BIGINT) AS bytes FROM raw_blocks WHERE stream LIKE $1";
        let row = sqlx::query(text).bind(streams).fetch_one(&self.reads).await?;
        Ok(KeptPoints {
            points: unsigned(row.try_get("points")?),
            bytes: unsigned(row.try_get("bytes")?),
        })
    }

    /// Everything that is wrong, in words. Reads the whole database, a row at a time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn problems(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        if self.dialect == Dialect::Sqlite {
            problems.extend(self.file_problems().await?);
        }
        problems.extend(self.strays().await?);
        problems.extend(self.unreadable().await?);
        Ok(problems)
    }

    /// SQLite's own checks of pages, indexes and references.
    async fn file_problems(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        for row in sqlx::query("PRAGMA integrity_check").fetch_all(&self.reads).await? {
            let finding: String = row.try_get(0)?;
            if finding != "ok" {
                problems.push(format!("the file: {finding}"));
            }
        }
        for row in sqlx::query("PRAGMA foreign_key_check").fetch_all(&self.reads).await? {
            let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
            problems.push(format!("a row of {table} refers to none of {parent}"));
        }
        Ok(problems)
    }

    /// States and results that do not belong together.
    async fn strays(&self) -> Result<Vec<String>, StoreError> {
        let completed = "SELECT e.id FROM experiments e WHERE e.state = 'completed' \
             AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.experiment_id = e.id) ORDER BY e.id";
        let reported = "SELECT e.id FROM reports r JOIN experiments e ON e.id = r.experiment_id \
             WHERE e.state NOT IN ('completed', 'cancelled') ORDER BY e.id";
        let mut problems = Vec::new();
        for (text, what) in [
            (completed, "is completed and has no results"),
            (reported, "has results and is not completed, nor cancelled"),
        ] {
            for row in sqlx::query(text).fetch_all(&self.reads).await? {
                problems.push(format!("experiment {} {what}", id_of(&row, "id")?));
            }
        }
        Ok(problems)
    }

    /// Documents and blocks that do not read back.
    async fn unreadable(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        let mut experiments = sqlx::query(select_records!("experiments e ORDER BY e.id")).fetch(&self.reads);
        while let Some(row) = experiments.try_next().await? {
            problems.extend(record(&row).err().map(|error| error.to_string()));
        }
        let mut reports = sqlx::query("SELECT experiment_id, report, packed FROM reports").fetch(&self.reads);
        while let Some(row) = reports.try_next().await? {
            problems.extend(report(&row).err().map(|error| error.to_string()));
        }
        let mut cycles = sqlx::query("SELECT experiment_id, measurement FROM rank_cycles").fetch(&self.reads);
        while let Some(row) = cycles.try_next().await? {
            let what = format!("a measurement of experiment {}", id_of(&row, "experiment_id")?);
            let read = from_json::<RankCycle>(&what, row.try_get("measurement")?);
            problems.extend(read.err().map(|error| error.to_string()));
        }
        let mut blocks = sqlx::query("SELECT experiment_id, stream, columns FROM raw_blocks").fetch(&self.reads);
        while let Some(row) = blocks.try_next().await? {
            let (stream, columns): (String, Vec<u8>) = (row.try_get("stream")?, row.try_get("columns")?);
            let read = if stream.starts_with("device/") {
                raw::decode_points(&columns).map(drop)
            } else {
                raw::decode_requests(&columns).map(drop)
            };
            let id = id_of(&row, "experiment_id")?;
            let damage = read.err();
            problems.extend(damage.map(|damage| format!("a block of {stream} of experiment {id}: {damage}")));
        }
        Ok(problems)
    }
}

fn unsigned(count: i64) -> u64 {
    count.unsigned_abs()
}
