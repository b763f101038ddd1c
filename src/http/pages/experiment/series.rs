//! Reads the device samples of an experiment and thins them for charts. Holds only a few devices at a time in memory.

use futures::{StreamExt as _, stream};

use crate::http::access::Caller;
use crate::http::device_lines::{DeviceLines, Series};
use crate::http::experiments::timeseries::{Found, find};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use joulemark_experiment::{ExperimentId, Spec};
use joulemark_measurement::Window;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::{Store, StoreError};

/// Number of devices that are in memory at the same time.
const AT_ONCE: usize = 2;
/// Statuses of experiments without samples: they had no devices yet, or retention deleted the samples.
const NOTHING_THERE: [u16; 2] = [409, 410];

/// Reads the devices of an experiment, or of one that runs here until now. The inner result has the reason when there
/// are no samples.
///
/// # Errors
/// Returns a [`Problem`] when the database fails.
pub async fn read(
    state: &AppState,
    (id, spec): (ExperimentId, &Spec),
    caller: &Caller,
) -> Result<Result<Series, String>, Problem> {
    if let Some(series) = live(state, id, spec).await? {
        return Ok(Ok(series));
    }
    let found = match find(state, id, caller).await {
        Ok((_, found)) => found,
        Err(problem) if NOTHING_THERE.contains(&problem.status) => return Ok(Err(problem.detail)),
        Err(problem) => return Err(problem),
    };
    let window = match &found {
        Found::Live(live) => live.window,
        Found::Kept(kept) => kept.window,
    };
    let zero_sec = window.start_monotonic_sec;
    let lines = match found {
        Found::Live(live) => live
            .devices
            .iter()
            .map(|series| DeviceLines::of(series, zero_sec))
            .collect(),
        Found::Kept(kept) => kept_lines(&state.resources.store, id, kept.devices, zero_sec).await?,
    };
    Ok(Ok(Series { window, lines }))
}

/// Reads and thins several devices concurrently, since hours of samples take a while.
async fn kept_lines(store: &Store, id: ExperimentId, devices: i64, zero_sec: f64) -> Result<Vec<DeviceLines>, Problem> {
    let line = |position| {
        let store = store.clone();
        tokio::spawn(async move {
            let series = store.device_series(id, position).await?;
            Ok::<_, StoreError>(series.map(|series| DeviceLines::of(&series, zero_sec)))
        })
    };
    let mut lines = Vec::new();
    let mut items = stream::iter((0..devices).map(line)).buffered(AT_ONCE);
    while let Some(joined) = items.next().await {
        let read = joined.map_err(|error| {
            tracing::error!(%error, "the samples of a device cannot be read");
            Problem::internal()
        })?;
        lines.extend(read?);
    }
    Ok(lines)
}

/// Returns the samples of an experiment that runs on this server; `None` for any other.
///
/// # Errors
/// Returns a [`Problem`] when reading the meter panics.
async fn live(state: &AppState, id: ExperimentId, spec: &Spec) -> Result<Option<Series>, Problem> {
    let Some(claimed_at) = state.scheduler.claimed_at(id) else {
        state.live_lines.forget(id);
        return Ok(None);
    };
    let now = Monotonic::now();
    let (meter, gpus) = (state.resources.meter.clone(), spec.gpus.clone());
    let lines = state.live_lines.clone();
    let read = tokio::task::spawn_blocking(move || {
        let window = Window {
            start_monotonic_sec: claimed_at.as_sec(),
            end_monotonic_sec: now.as_sec(),
        };
        lines.extended(id, window, |window| meter.device_series(&gpus, window))
    });
    read.await.map(Some).map_err(|error| {
        tracing::error!(%error, "the samples of a running experiment cannot be read");
        Problem::internal()
    })
}
