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
    /// `true` for a CSV that a spreadsheet opens: a text that it would take for a formula (it begins with `=`, `+`, `-`,
    /// `@`, a tab or a carriage return) gets an apostrophe in front. Otherwise every text is as it is.
    #[param(value_type = Option<bool>)]
    spreadsheet: Option<String>,
    /// Names of metrics of the table, up to 64, with commas between. Default: those of a comparison, `p99_ttft_ms`
    /// and those of the goal.
    #[param(example = "joules_per_output_token,p99_ttft_ms", min_length = 1)]
    metrics: Option<String>,
}

/// Export a sweep as a table
///
/// A row a point: its number, a column an axis under the axis' own name, `completed`, and for each metric its mean over
/// the repeats, `_n`, `_ci_low` and `_ci_high`. A row an experiment has `GET /v1/experiments/export?sweep=ID`.
#[utoipa::path(get, path = "/v1/sweeps/{id}/export", tag = "sweeps", operation_id = "exportSweep",
    params(("id" = String, Path, format = "uuid", description = "The sweep's id"), SweepExportParameters),
    responses(
        (status = 200, description = "The table, as a file.",
            headers(("Content-Disposition" = String, description = "The file's name.")),
            content((String = "text/csv"), (Object = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "The id or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such sweep.", body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` asks for another format.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or as many exports run as may at a time.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 505, description = "CSV and JSON Lines need HTTP/1.1: before it nobody could tell the end from a break.", body = Problem, content_type = "application/problem+json"),
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
    fill((&state, &caller), id, &mut table, metrics.clone()).await?;
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
