//! `GET /v1/experiments/{id}/timeseries`.

use axum::{extract::State as AxumState, response::Response};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::shown_failure;
use crate::http::access::Caller;
use crate::http::{extract::IdPath, problem::Problem, repeatable_query::RepeatableQuery, state::AppState, stream};
use joulemark_analysis::resample;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{DeviceSeries, Window, quoted};
use joulemark_store::{Record, Store, StoreError};

/// Tolerance for a sample interval that rounding has put slightly above a whole number of milliseconds.
const SLACK_MS: f64 = 1e-6;
/// One day; a coarser resolution shows no more than the experiment's results.
const MAX_MS: u32 = 86_400_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimeseriesParameters {
    /// Averages over steps of this many milliseconds, from the meter's sample interval to one day. Without it every
    /// sample is a point of about 270 bytes.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 86_400_000)]
    resolution_ms: Option<String>,
}

/// Samples of an experiment's GPUs and of the host's CPU sources over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeseries {
    pub id: ExperimentId,
    /// Until the experiment is finished, the series ends at the present time and grows.
    pub state: State,
    /// From the claim of the experiment to its end, or to the present; on the measuring host's monotonic clock, as all
    /// `_monotonic_sec`.
    pub window: Window,
    /// Sample interval of the meter in milliseconds.
    pub sample_interval_ms: f64,
    /// Length of the averaged steps in milliseconds; null if each point is a sample.
    pub resolution_ms: Option<u32>,
    /// One series per device.
    pub items: Vec<DeviceSeries>,
}

/// Read an experiment's devices over time
///
/// Power, clocks, temperature and utilisation of each of its GPUs, and power and utilisation of the host's CPU sources,
/// from the claim of the experiment to its end, or to the present while it runs. Failed and cancelled experiments have
/// a time series too, if they had devices.
#[utoipa::path(get, path = "/v1/experiments/{id}/timeseries", tag = "experiments", operation_id = "getTimeseries",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), TimeseriesParameters),
    responses(
        (status = 200, description = "The points of each device.", body = Timeseries),
        (status = 400, description = "The id or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It never had devices; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The time series was deleted by this server's retention; the results are kept.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn timeseries(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    caller: Caller,
    RepeatableQuery(parameters): RepeatableQuery<TimeseriesParameters>,
) -> Result<Response, Problem> {
    let asked = parameters.resolution_ms.as_deref().map(read_resolution).transpose()?;
    let (record, found) = find(&state, id, &caller).await?;
    let (window, sample_interval_ms) = match &found {
        Found::Live(live) => (live.window, live.sample_interval_ms),
        Found::Kept(kept) => (kept.window, kept.sample_interval_ms),
    };
    if let Some(resolution_ms) = asked {
        check_not_finer_than_samples(resolution_ms, sample_interval_ms)?;
    }
    let head = Timeseries {
        id,
        state: record.state,
        window,
        sample_interval_ms,
        resolution_ms: asked,
        items: Vec::new(),
    };
    let at_resolution = move |series| resampled(series, window, asked);
    let items = devices(state.resources.store.clone(), id, found);
    stream::object_with_items(&head, items.and_then(at_resolution))
}

/// Returns the series of each device; stored series are read one at a time.
pub fn devices(
    store: Store,
    id: ExperimentId,
    found: Found,
) -> impl Stream<Item = Result<DeviceSeries, StoreError>> + Send + 'static {
    match found {
        Found::Live(live) => futures::stream::iter(live.devices).map(Ok).left_stream(),
        Found::Kept(kept) => {
            let positions = futures::stream::iter(0..kept.devices).map(Ok);
            let items = positions.try_filter_map(move |position| {
                let store = store.clone();
                async move { store.device_series(id, position).await }
            });
            items.right_stream()
        }
    }
}

/// Averages a device's series over steps of `resolution_ms`; returns it unchanged for `None`.
///
/// # Errors
/// Returns an error if the blocking task panics.
pub async fn resampled(
    series: DeviceSeries,
    window: Window,
    resolution_ms: Option<u32>,
) -> Result<DeviceSeries, StoreError> {
    let Some(resolution_ms) = resolution_ms else {
        return Ok(series);
    };
    let step_sec = f64::from(resolution_ms) / MILLISECONDS_PER_SECOND;
    // Takes a while for hours of samples.
    let resampled = tokio::task::spawn_blocking(move || resample(&series, &window, step_sec)).await;
    resampled.map_err(|error| StoreError::Corrupt {
        what: "a series".to_owned(),
        reason: error.to_string(),
    })
}

/// A series, either of a running or of a finished experiment.
pub enum Found {
    Live(joulemark_store::Timeseries),
    Kept(joulemark_store::KeptTimeseries),
}

/// Finds the series in the store, or in the meter while the experiment runs on this server. If the experiment ends
/// during the search, it is searched for again.
///
/// # Errors
/// Returns a [`Problem`] if there is no series, or if the database fails.
pub async fn find(state: &AppState, id: ExperimentId, caller: &Caller) -> Result<(Record, Found), Problem> {
    let mut record = super::find(&state.resources.store, id).await?;
    if !record.state.is_finished() {
        if let Some(live) = state.scheduler.live_timeseries(id, &record.spec).await {
            return Ok((record, Found::Live(live)));
        }
        record = super::find(&state.resources.store, id).await?;
    }
    if record.state.is_finished()
        && let Some(kept) = state.resources.store.timeseries(id).await?
    {
        return Ok((record, Found::Kept(kept)));
    }
    if let Some(dropped_at) = state.resources.store.raw_data_dropped_at(id).await? {
        return Err(Problem::timeseries_dropped(dropped_at));
    }
    Err(Problem::no_timeseries(record.state, shown_failure(&record, caller)))
}

fn read_resolution(text: &str) -> Result<u32, Problem> {
    let resolution_ms = text.parse().ok().filter(|resolution_ms| *resolution_ms <= MAX_MS);
    resolution_ms.ok_or_else(|| {
        let detail = format!(
            "is {text}; accepted is a whole number of milliseconds up to {MAX_MS}",
            text = quoted(&text)
        );
        Problem::invalid_parameter("resolution_ms", detail)
    })
}

fn check_not_finer_than_samples(resolution_ms: u32, sample_interval_ms: f64) -> Result<(), Problem> {
    if f64::from(resolution_ms) + SLACK_MS >= sample_interval_ms {
        return Ok(());
    }
    let detail = format!("is {resolution_ms}; accepted is at least the sample interval, {sample_interval_ms} ms");
    Err(Problem::invalid_parameter("resolution_ms", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_a_whole_number_of_at_least_the_sample_interval() {
        assert_eq!(read_resolution("250"), Ok(250));
        for text in ["", "-1", "1.5", "fast", "86400001", "4294967296"] {
            let problem = read_resolution(text).unwrap_err();
            assert_eq!(
                (problem.status, problem.errors[0].pointer.as_str()),
                (400, "resolution_ms"),
                "{text}"
            );
        }
        assert!(check_not_finer_than_samples(100, 100.000_000_001).is_ok());
        let problem = check_not_finer_than_samples(0, 5.0).unwrap_err();
        assert!(
            problem.detail.contains("at least the sample interval, 5 ms"),
            "{}",
            problem.detail
        );
    }
}
