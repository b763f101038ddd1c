//! `GET /v1/sweeps/{id}`.

use axum::{extract::State as AxumState, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::curve::Curve;
use super::table::{fill, metrics_of};
use super::view::Sweep;
use crate::http::access::Caller;
use crate::http::experiments::pareto::{Axes, ParetoFront, Reading};
use crate::http::extract::IdPath;
use crate::http::fields::Fields;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use joulemark_analysis::metrics::Metric;
use joulemark_store::SweepRecord;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ShowParameters {
    /// Names of metrics of the table, at most 64, separated by commas. Default: those of a comparison, `p99_ttft_ms`
    /// and those of the goal.
    #[param(example = "joules_per_output_token,p99_ttft_ms", min_length = 1)]
    metrics: Option<String>,
    /// Only these fields: up to 256 names, separated by commas, with dots for nested fields. Without `table`,
    /// `curve` and `warnings` no results are read.
    #[param(example = "state,progress,eta", min_length = 1)]
    fields: Option<String>,
}

/// Show a sweep
///
/// Returns the progress of the sweep, and one row per point with the values of its axes and its metrics. Each completed
/// repeat is one sample of a metric; the 95 % confidence interval is that of their mean.
#[utoipa::path(get, path = "/v1/sweeps/{id}", tag = "sweeps", operation_id = "getSweep",
    params(("id" = String, Path, format = "uuid", description = "The sweep's id"), ShowParameters),
    responses(
        (status = 200, description = "The sweep; with `fields`, only those fields.", body = Sweep),
        (status = 400, description = "The id is not a UUID, or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such sweep.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    RepeatableQuery(parameters): RepeatableQuery<ShowParameters>,
    caller: Caller,
) -> Result<Response, Problem> {
    let fields = parameters.fields.as_deref().map(|fields| Fields::read(fields, "Sweep"));
    let fields = fields.transpose()?.unwrap_or_default();
    let record = super::find(&state, id).await?;
    let metrics = metrics_of(parameters.metrics.as_deref(), &record.request)?;
    let has_figures = ["table", "curve", "warnings"].iter().any(|name| fields.has(name));
    let shown = match has_figures {
        true => with_figures((&state, &caller), record, metrics).await?,
        false => Sweep::new(&state, record, state.resources.store.sweep_runs(id).await?).await,
    };
    fields.json(&shown)
}

/// Returns a sweep with the figures of its table, its curve and the warnings of its results.
///
/// # Errors
/// Returns a [`Problem`] if the database fails.
pub async fn with_figures(
    asked_by: (&AppState, &Caller),
    record: SweepRecord,
    metrics: Vec<&'static Metric>,
) -> Result<Sweep, Problem> {
    Ok(with_fronts(asked_by, record, metrics, &[]).await?.0)
}

/// Returns a sweep with its figures, and the Pareto front of its points for each pair of metrics. Reads each result
/// once.
///
/// # Errors
/// Returns a [`Problem`] if the database fails.
pub async fn with_fronts(
    (state, caller): (&AppState, &Caller),
    record: SweepRecord,
    metrics: Vec<&'static Metric>,
    axes: &[Axes],
) -> Result<(Sweep, Vec<ParetoFront>), Problem> {
    let (id, curve) = (record.id, Curve::of(&record.request));
    let fronts = match axes.is_empty() {
        true => None,
        false => Some(Reading::of_sweep(state, &record, axes).await?),
    };
    let runs = state.resources.store.sweep_runs(id).await?;
    let mut shown = Sweep::new(state, record, runs).await;
    let filled = fill((state, caller), id, &mut shown.table, metrics, fronts).await?;
    shown.warnings = Some(filled.warnings);
    let (figures, fronts) = (filled.of_points, filled.fronts);
    // The intervals of a curve's best values take thousands of draws.
    let computed = tokio::task::spawn_blocking(move || {
        let fronts = fronts.map(Reading::answers).unwrap_or_default();
        (curve.map(|curve| curve.drawn(&figures)), fronts)
    });
    let (curve, fronts) = computed.await.map_err(|error| {
        tracing::error!(%error, "the figures of a sweep cannot be computed");
        Problem::internal()
    })?;
    shown.curve = curve;
    Ok((shown, fronts))
}
