//! `GET /v1/sweeps/{id}/export`.

use axum::extract::State as AxumState;
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::table::{fill, metrics_of};
use super::view::{Sweep, SweepFigure};
use crate::http::access::Caller;
use crate::http::experiments::export::{asked, download};
use crate::http::extract::IdPath;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use crate::tables::{SweepCell, sweep_columns};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct SweepExportParameters {
    #[param(schema_with = asked::format_schema, required = false)]
    format: Option<String>,
    /// `true` for a CSV that is safe to open in a spreadsheet: a text that it would take for a formula (one that begins
    /// with `=`, `+`, `-`, `@`, a tab or a carriage return) is preceded by an apostrophe. Otherwise texts are
    /// unchanged.
    #[param(value_type = Option<bool>)]
    spreadsheet: Option<String>,
    /// Names of metrics of the table, at most 64, separated by commas. Default: those of a comparison, `p99_ttft_ms`
    /// and those of the goal.
    #[param(example = "joules_per_output_token,p99_ttft_ms", min_length = 1)]
    metrics: Option<String>,
}

/// Export a sweep as a table
///
/// One row per point: its number, a column for each axis under the axis' name, `completed`, and for each metric its
/// mean over the repeats, `_n`, `_ci_low` and `_ci_high`. `GET /v1/experiments/export?sweep=ID` has one row per
/// experiment.
#[utoipa::path(get, path = "/v1/sweeps/{id}/export", tag = "sweeps", operation_id = "exportSweep",
    params(("id" = String, Path, format = "uuid", description = "The sweep's id"), SweepExportParameters),
    responses(
        (status = 200, description = "The table, as a file.",
            headers(("Content-Disposition" = String, description = "The file's name.")),
            content((String = "text/csv"), (Object = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "The id or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such sweep.", body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` asks for another format.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or the maximum number of exports is open.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 505, description = "CSV and JSON Lines need HTTP/1.1, in which an incomplete body can be detected.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn export(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    RepeatableQuery(parameters): RepeatableQuery<SweepExportParameters>,
    caller: Caller,
    parts: Parts,
) -> Result<Response, Problem> {
    let format = asked::format(parameters.format.as_deref(), &parts.headers)?;
    let format = asked::for_spreadsheet(parameters.spreadsheet.as_deref(), format)?;
    let record = super::find(&state, id).await?;
    let metrics = metrics_of(parameters.metrics.as_deref(), &record.request)?;
    let axes: Vec<String> = record.request.axes.keys().cloned().collect();
    let download = download::Download::new(format, format!("joulemark-sweep-{id}"), &state, (&caller, &parts))?;
    let runs = state.resources.store.sweep_runs(id).await?;
    let mut table = Sweep::new(&state, record, runs).await.table;
    fill((&state, &caller), id, &mut table, metrics.clone(), None).await?;
    let cell = |(name, of): (String, SweepFigure)| {
        let cell = SweepCell {
            n: of.n,
            mean: of.mean,
            ci_low: of.ci_low,
            ci_high: of.ci_high,
        };
        (name, cell)
    };
    let row = move |row: super::view::SweepRow| {
        let row = crate::tables::SweepRow {
            point: row.point,
            values: row.values,
            completed: row.completed,
            metrics: row.metrics.into_iter().map(cell).collect(),
        };
        Ok(row)
    };
    let rows: download::Rows<_> = Box::new(table.into_iter().map(row));
    download.respond(sweep_columns(&axes, &metrics), stream::iter([Ok(rows)]))
}
