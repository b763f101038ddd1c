//! The time series of an experiment's devices. Owns when they may be written; the samples are raw data.

mod columns;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::raw::{self, Block, Stream};
use super::record::{from_json, to_json};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::{DeviceSeries, Window};

/// The time series of all devices during one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeseries {
    /// From the claim to the end of the attempt, in CLOCK_MONOTONIC of the host that ran it.
    pub window: Window,
    /// Sampling interval of the meter in milliseconds.
    pub sample_interval_ms: f64,
    pub devices: Vec<DeviceSeries>,
}

/// A stored time series without the samples, which are read one device at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptTimeseries {
    pub window: Window,
    pub sample_interval_ms: f64,
    /// Number of devices; their positions begin at 0.
    pub devices: i64,
}

impl Store {
    /// Stores the time series of an attempt that is about to end, and replaces that of an earlier attempt. Times are
    /// stored to the microsecond; watts, percents and degrees to a thousandth; other quantities as whole numbers.
    ///
    /// # Errors
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment.
    pub(super) async fn store_timeseries(
        &self,
        (id, attempt): (ExperimentId, u32),
        prepared: &PreparedTimeseries,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let progress = self.lock(&mut transaction, id).await?.ok_or(StoreError::NotFound(id))?;
        if progress.attempt != attempt || progress.state == State::Queued || progress.state.is_finished() {
            return Err(StoreError::Lost { id, attempt });
        }
        // Deletes the series of an earlier attempt.
        for text in [
            "DELETE FROM device_series WHERE experiment_id = $1",
            "DELETE FROM timeseries WHERE experiment_id = $1",
        ] {
            sqlx::query(text)
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        raw::delete(&mut transaction, id).await?;
        sqlx::query(
            "INSERT INTO timeseries (experiment_id, start_monotonic_sec, end_monotonic_sec, sample_interval_ms) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(id.to_string())
        .bind(prepared.window.start_monotonic_sec)
        .bind(prepared.window.end_monotonic_sec)
        .bind(prepared.sample_interval_ms)
        .execute(&mut *transaction)
        .await?;
        for (position, description) in (0i64..).zip(&prepared.descriptions) {
            sqlx::query("INSERT INTO device_series (experiment_id, position, series) VALUES ($1, $2, $3)")
                .bind(id.to_string())
                .bind(position)
                .bind(description)
                .execute(&mut *transaction)
                .await?;
        }
        raw::insert(&mut transaction, id, &prepared.blocks, now).await?;
        commit(transaction).await
    }

    /// Returns the stored time series; `None` when the experiment was never started, has not ended, or retention
    /// dropped it.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn timeseries(&self, id: ExperimentId) -> Result<Option<KeptTimeseries>, StoreError> {
        let text = "SELECT t.start_monotonic_sec, t.end_monotonic_sec, t.sample_interval_ms, \
             (SELECT COUNT(*) FROM device_series d WHERE d.experiment_id = t.experiment_id) AS devices \
             FROM timeseries t WHERE t.experiment_id = $1";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(KeptTimeseries {
            window: Window {
                start_monotonic_sec: row.try_get("start_monotonic_sec")?,
                end_monotonic_sec: row.try_get("end_monotonic_sec")?,
            },
            sample_interval_ms: row.try_get("sample_interval_ms")?,
            devices: row.try_get("devices")?,
        }))
    }

    /// Returns the series of the device at a position; `None` when there is no such device, or retention dropped it.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn device_series(&self, id: ExperimentId, position: i64) -> Result<Option<DeviceSeries>, StoreError> {
        let row = sqlx::query("SELECT series FROM device_series WHERE experiment_id = $1 AND position = $2")
            .bind(id.to_string())
            .bind(position)
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let what = format!("a series of experiment {id}");
        let mut series = match from_json(&what, row.try_get("series")?)? {
            Stored::Described(series) => series,
            Stored::OfEarlierRelease(columns) => columns::decode(columns),
        };
        for block in self.blocks(id, Stream::Device(position)).await? {
            let points = raw::decode_points(&block).map_err(|damage| StoreError::corrupt(&what, damage))?;
            series.points.extend(points);
        }
        Ok(Some(series))
    }
}

/// A row of `device_series`: the device without its points or, up to release 0.1, a document with everything.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    OfEarlierRelease(columns::Columns),
    Described(DeviceSeries),
}

/// A time series as the rows to be inserted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PreparedTimeseries {
    window: Window,
    sample_interval_ms: f64,
    /// The devices without their points, as JSON.
    descriptions: Vec<String>,
    blocks: Vec<(Stream, Vec<Block>)>,
}

impl PreparedTimeseries {
    /// Serialises a time series.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
    pub fn new(timeseries: &Timeseries) -> Result<Self, StoreError> {
        let describe = |series: &DeviceSeries| {
            to_json(&DeviceSeries {
                gpu: series.gpu,
                gpu_uuid: series.gpu_uuid.clone(),
                zone: series.zone.clone(),
                zone_path: series.zone_path.clone(),
                points: Vec::new(),
            })
        };
        let blocks = (0..).zip(&timeseries.devices);
        Ok(Self {
            window: timeseries.window,
            sample_interval_ms: timeseries.sample_interval_ms,
            descriptions: timeseries.devices.iter().map(describe).collect::<Result<_, _>>()?,
            blocks: blocks
                .map(|(position, series)| (Stream::Device(position), raw::encode_points(&series.points)))
                .collect(),
        })
    }
}
