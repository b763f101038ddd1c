//! Raw data: the samples of each device and the tokens of each request, in blocks of compressed columns. Retention may
//! drop raw data, but never the results. `block` defines the format; `points` and `requests` define the columns.

mod block;
mod points;
mod requests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::Any;
use sqlx::{Row, Transaction};

use super::record::{from_us, to_us};
use super::{Store, StoreError};
use joulemark_experiment::ExperimentId;

pub use points::{decode as decode_points, encode as encode_points};
pub use requests::{decode as decode_requests, encode as encode_requests};

/// Number of samples in a full block, and of tokens at which a block of requests ends: enough that the overhead of a
/// block is negligible, and few enough to hold several blocks in memory.
const POINTS_PER_BLOCK: usize = 4096;

/// A block of compressed columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Number of samples or tokens.
    pub points: usize,
    #[serde(with = "hex::serde")]
    pub columns: Vec<u8>,
}

/// The stream of an experiment that a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    /// A device, by its position in the experiment's time series.
    Device(i64),
    /// The requests of one rank in one cycle.
    Requests { cycle: u32, rank: u32 },
}

impl Stream {
    fn name(self) -> String {
        match self {
            Self::Device(position) => format!("device/{position}"),
            Self::Requests { cycle, rank } => format!("requests/{cycle}/{rank}"),
        }
    }
}

/// Inserts blocks of an experiment and adds their size to its raw data.
pub async fn insert(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    blocks: &[(Stream, Vec<Block>)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let sizes = blocks
        .iter()
        .flat_map(|(_, blocks)| blocks.iter().map(|block| block.columns.len() as i64));
    sqlx::query(
        "INSERT INTO raw_data (experiment_id, stored_at_us, stored_bytes) VALUES ($1, $2, $3) \
         ON CONFLICT (experiment_id) DO UPDATE SET stored_at_us = excluded.stored_at_us, \
         stored_bytes = raw_data.stored_bytes + excluded.stored_bytes",
    )
    .bind(id.to_string())
    .bind(to_us(now))
    .bind(sizes.sum::<i64>())
    .execute(&mut **transaction)
    .await?;
    for (stream, blocks) in blocks {
        for (number, block) in (0i64..).zip(blocks) {
            sqlx::query(
                "INSERT INTO raw_blocks (experiment_id, stream, block, points, columns) VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(id.to_string())
            .bind(stream.name())
            .bind(number)
            .bind(block.points as i64)
            .bind(&block.columns)
            .execute(&mut **transaction)
            .await?;
        }
    }
    Ok(())
}

/// Deletes the raw data of an experiment, before that of another attempt is stored.
pub async fn delete(transaction: &mut Transaction<'static, Any>, id: ExperimentId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM raw_data WHERE experiment_id = $1")
        .bind(id.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Returns the blocks of a stream in order; empty when there is no such stream, or it was dropped.
    pub(super) async fn blocks(&self, id: ExperimentId, stream: Stream) -> Result<Vec<Vec<u8>>, StoreError> {
        let text = "SELECT columns FROM raw_blocks WHERE experiment_id = $1 AND stream = $2 ORDER BY block";
        let rows = sqlx::query(text)
            .bind(id.to_string())
            .bind(stream.name())
            .fetch_all(&self.reads)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("columns")?)).collect()
    }

    /// Returns when retention dropped the raw data of an experiment; `None` when it was not dropped.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn raw_data_dropped_at(&self, id: ExperimentId) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query("SELECT dropped_at_us FROM raw_data WHERE experiment_id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        row.try_get::<Option<i64>, _>("dropped_at_us")?.map(from_us).transpose()
    }
}
