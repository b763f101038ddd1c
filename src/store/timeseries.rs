//! An experiment's devices over time, kept beside its results. Owns when they may be written; the form of a stored
//! series is `columns`' business.

mod columns;

use sqlx::Row;

use super::record::from_json;
use super::{Store, StoreError};
use crate::experiment::{ExperimentId, State};
use crate::measurement::{DeviceSeries, Window};

/// Every device of one experiment over one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeseries {
    /// From the claim to the end of the attempt, CLOCK_MONOTONIC of the host that ran it.
    pub window: Window,
    /// How often the meter sampled.
    pub sample_interval_ms: f64,
    pub devices: Vec<DeviceSeries>,
}

impl Store {
    /// Keeps the devices' series of an attempt that is about to end, in the place of an earlier attempt's. Moments are
    /// kept to the microsecond, watts, percents and degrees to the thousandth, the rest to the unit.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds the experiment.
    pub async fn keep_timeseries(
        &self,
        id: ExperimentId,
        attempt: u32,
        timeseries: &Timeseries,
    ) -> Result<(), StoreError> {
        let documents = timeseries
            .devices
            .iter()
            .map(columns::encode)
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mut transaction = self.begin().await?;
        let standing = self.lock(&mut transaction, id).await?.ok_or(StoreError::NotFound(id))?;
        if standing.attempt != attempt || standing.state == State::Queued || standing.state.is_finished() {
            return Err(StoreError::Lost { id, attempt });
        }
        for text in [
            "DELETE FROM device_series WHERE experiment_id = $1",
            "DELETE FROM timeseries WHERE experiment_id = $1",
        ] {
            sqlx::query(text)
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(
            "INSERT INTO timeseries (experiment_id, start_monotonic_sec, end_monotonic_sec, sample_interval_ms) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(id.to_string())
        .bind(timeseries.window.start_monotonic_sec)
        .bind(timeseries.window.end_monotonic_sec)
        .bind(timeseries.sample_interval_ms)
        .execute(&mut *transaction)
        .await?;
        for (position, document) in (0i64..).zip(documents) {
            sqlx::query("INSERT INTO device_series (experiment_id, position, series) VALUES ($1, $2, $3)")
                .bind(id.to_string())
                .bind(position)
                .bind(document)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// None where nothing was kept: the experiment was never started, or has not come to an end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timeseries(&self, id: ExperimentId) -> Result<Option<Timeseries>, StoreError> {
        // One statement, so that a new attempt's window never stands with an old one's series.
        let text = "SELECT t.start_monotonic_sec, t.end_monotonic_sec, t.sample_interval_ms, d.series \
             FROM timeseries t LEFT JOIN device_series d ON d.experiment_id = t.experiment_id \
             WHERE t.experiment_id = $1 ORDER BY d.position";
        let rows = sqlx::query(text).bind(id.to_string()).fetch_all(&self.reads).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let window = Window {
            start_monotonic_sec: first.try_get("start_monotonic_sec")?,
            end_monotonic_sec: first.try_get("end_monotonic_sec")?,
        };
        let sample_interval_ms = first.try_get("sample_interval_ms")?;
        let mut devices = Vec::new();
        for row in &rows {
            if let Some(document) = row.try_get::<Option<&str>, _>("series")? {
                devices.push(columns::decode(from_json(
                    &format!("a series of experiment {id}"),
                    document,
                )?));
            }
        }
        Ok(Some(Timeseries {
            window,
            sample_interval_ms,
            devices,
        }))
    }
}
