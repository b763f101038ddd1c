//! Checks of what is stored: how much there is, and whether it can be read back. Changes nothing.

use futures::TryStreamExt as _;
use sqlx::Row;

use super::dialect::Dialect;
use super::raw;
use super::record::{from_json, id as id_of, record, select_records};
use super::stored_report::report;
use super::{Store, StoreError};
use joulemark_experiment::State;
use joulemark_measurement::RankCycle;

/// The stored amount of one kind of raw data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptPoints {
    /// Number of samples or tokens.
    pub points: u64,
    /// Compressed size in bytes.
    pub bytes: u64,
}

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Number of experiments in each state.
    pub by_state: Vec<(State, u64)>,
    /// Number of experiments whose raw data has not been dropped.
    pub raw_experiments: u64,
    /// Compressed size of all raw data in bytes.
    pub raw_bytes: u64,
    /// Samples of the devices.
    pub samples: KeptPoints,
    /// Tokens of the requests.
    pub tokens: KeptPoints,
}

impl Store {
    /// Counts experiments and raw data.
    ///
    /// # Errors
    /// Returns an error when the database fails.
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

    /// Returns a message for each problem found; an empty list when there is none. Reads the whole database, one row at
    /// a time.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn problems(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        if self.dialect == Dialect::Sqlite {
            problems.extend(self.file_problems().await?);
        }
        problems.extend(self.inconsistent_states().await?);
        problems.extend(self.unreadable().await?);
        Ok(problems)
    }

    /// Runs SQLite's own checks of pages, indexes and references.
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
            problems.push(format!("a row of {table} refers to a missing row of {parent}"));
        }
        Ok(problems)
    }

    /// Finds completed experiments without results, and results of experiments that should have none.
    async fn inconsistent_states(&self) -> Result<Vec<String>, StoreError> {
        let completed = "SELECT e.id FROM experiments e WHERE e.state = 'completed' \
             AND NOT EXISTS (SELECT 1 FROM reports r WHERE r.experiment_id = e.id) ORDER BY e.id";
        let reported = "SELECT e.id FROM reports r JOIN experiments e ON e.id = r.experiment_id \
             WHERE e.state NOT IN ('completed', 'cancelled') ORDER BY e.id";
        let mut problems = Vec::new();
        for (text, what) in [
            (completed, "is completed and has no results"),
            (reported, "has results and is neither completed nor cancelled"),
        ] {
            for row in sqlx::query(text).fetch_all(&self.reads).await? {
                problems.push(format!("experiment {} {what}", id_of(&row, "id")?));
            }
        }
        Ok(problems)
    }

    /// Finds documents and blocks that cannot be decoded.
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
