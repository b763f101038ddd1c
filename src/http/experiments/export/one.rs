//! `GET /v1/experiments/{id}/export`.

use axum::extract::State as AxumState;
use axum::http::request::Parts;
use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::super::timeseries::{self, Found};
use super::super::view::{hides_texts, shown_failure};
use super::super::{find, finished_tag};
use super::columns::ExportRow;
use super::download::{Download, Rows};
use super::{asked, rows};
use crate::http::access::Caller;
use crate::http::conditional::{Condition, EntityTag, Strength, answer};
use crate::http::extract::IdPath;
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use crate::tables::{CycleRow, ExperimentRow, SampleRow};
use crate::tables::{cycle_columns, experiment_columns, request_columns, sample_columns, token_columns};
use joulemark_experiment::State;
use joulemark_measurement::quoted;
use joulemark_store::{Record, Version};

/// A table of one experiment.
///
/// - `summary`: one row, the experiment
/// - `cycles`: one row per measured cycle, with its figures
/// - `requests`: one row per request
/// - `tokens`: one row per output token
/// - `timeseries`: one row per sample of a device
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Table {
    #[default]
    Summary,
    Cycles,
    Requests,
    Tokens,
    Timeseries,
}

/// Returns the table with this name.
///
/// # Errors
/// Returns a [`Problem`] that lists the tables.
fn read_table(name: &str) -> Result<Table, Problem> {
    match name {
        "summary" => Ok(Table::Summary),
        "cycles" => Ok(Table::Cycles),
        "requests" => Ok(Table::Requests),
        "tokens" => Ok(Table::Tokens),
        "timeseries" => Ok(Table::Timeseries),
        other => {
            let detail = format!(
                "is {other}; accepted are summary, cycles, requests, tokens, timeseries",
                other = quoted(&other)
            );
            Err(Problem::invalid_parameter("what", detail))
        }
    }
}

impl Table {
    /// Returns the end of the file's name.
    fn suffix(self) -> &'static str {
        match self {
            Self::Summary => "",
            Self::Cycles => "-cycles",
            Self::Requests => "-requests",
            Self::Tokens => "-tokens",
            Self::Timeseries => "-timeseries",
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportOneParameters {
    #[param(schema_with = asked::format_schema, required = false)]
    format: Option<String>,
    /// `true` for a CSV that is safe to open in a spreadsheet: a text that it would take for a formula (one that begins
    /// with `=`, `+`, `-`, `@`, a tab or a carriage return) is preceded by an apostrophe. Otherwise texts are
    /// unchanged.
    #[param(value_type = Option<bool>)]
    spreadsheet: Option<String>,
    /// Which table; the default is `summary`.
    #[param(inline, value_type = Option<Table>)]
    what: Option<String>,
}

/// Export an experiment as a table
///
/// `summary` is the row that `GET /v1/experiments/export` has for the experiment, in any state. `cycles`, `requests`
/// and `tokens` are tables of a completed experiment, `timeseries` the samples of its devices. They are streamed, with
/// columns described in the Parquet schema. A body that breaks off is incomplete.
#[utoipa::path(get, path = "/v1/experiments/{id}/export", tag = "experiments", operation_id = "exportExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), ExportOneParameters,
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of a file that the client has.")),
    responses(
        (status = 200, description = "The table, as a file.",
            headers(("Content-Disposition" = String, description = "The file's name."),
                ("ETag" = String, description = "The entity tag; strong once the experiment is finished.")),
            content((String = "text/csv"), (ExportRow = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 304, description = "The file still has the tag in `If-None-Match`."),
        (status = 400, description = "The id or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` asks for another format.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not completed, or never had devices; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The data was deleted by this server's retention; the summary is kept.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or the maximum number of exports is open.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 505, description = "CSV and JSON Lines need HTTP/1.1, in which an incomplete body can be detected.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn one(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    caller: Caller,
    condition: Condition,
    RepeatableQuery(parameters): RepeatableQuery<ExportOneParameters>,
    parts: Parts,
) -> Result<Response, Problem> {
    let format = asked::format(parameters.format.as_deref(), &parts.headers)?;
    let format = asked::for_spreadsheet(parameters.spreadsheet.as_deref(), format)?;
    let table = parameters.what.as_deref().map_or(Ok(Table::default()), read_table)?;
    let record = find(&state.resources.store, id).await?;
    let content = content(&state, &record, table, &caller).await?;
    let token_ids_withheld = hides_texts(&record.spec, record.submitter.as_deref(), &caller);
    let version = Version::from(&record);
    let how = format!("export {format:?} {table:?}");
    let tag = if version.state.is_finished() {
        finished_tag(id, &version, &caller, &[&how])
    } else {
        let updated_at = version.updated_at.to_string();
        EntityTag::new(
            Strength::Weak,
            &[&how, &id.to_string(), &updated_at, &version.attempt.to_string()],
        )
    };
    // A table that still grows is never unchanged.
    let is_live = matches!(content, Content::Timeseries(Found::Live(_)));
    let no_condition = Condition::default();
    let condition = if is_live { &no_condition } else { &condition };
    answer(&tag, condition, || {
        let name = format!("joulemark-{id}{}", table.suffix());
        let download = Download::new(format, name, &state, (&caller, &parts))?;
        let store = state.resources.store.clone();
        match content {
            Content::Summary(row) => {
                let rows: Rows<ExperimentRow> = Box::new(std::iter::once(Ok(*row)));
                download.respond(experiment_columns(), stream::iter([Ok(rows)]))
            }
            Content::Cycles(rows) => {
                let rows: Rows<CycleRow> = Box::new(rows.into_iter().map(Ok));
                download.respond(cycle_columns(), stream::iter([Ok(rows)]))
            }
            Content::Requests => download.respond(request_columns(), rows::requests(&store, id)),
            Content::Tokens => download.respond(token_columns(), rows::output_tokens(&store, id, token_ids_withheld)),
            Content::Timeseries(found) => {
                let series = timeseries::devices(store, id, found);
                let batches = series.map_ok(move |series| -> Rows<SampleRow> { rows::samples(id, series) });
                download.respond(sample_columns(), batches.boxed())
            }
        }
    })
}

/// The rows of a table, or what is needed to read them.
enum Content {
    Summary(Box<ExperimentRow>),
    Cycles(Vec<CycleRow>),
    Requests,
    Tokens,
    Timeseries(Found),
}

/// Returns the content of the table, or the problem if there is none, before the response begins.
async fn content(state: &AppState, record: &Record, table: Table, caller: &Caller) -> Result<Content, Problem> {
    let id = record.id;
    match table {
        Table::Summary => {
            let report = state.resources.store.report(id).await?;
            Ok(Content::Summary(Box::new(rows::experiment(
                (record.clone(), report),
                caller,
            ))))
        }
        Table::Cycles => match state.resources.store.report(id).await? {
            Some(report) => Ok(Content::Cycles(rows::cycles((record, Some(report))))),
            None => Err(Problem::not_completed(record.state, shown_failure(record, caller))),
        },
        Table::Requests => kept(state, record, caller).await.map(|()| Content::Requests),
        Table::Tokens => kept(state, record, caller).await.map(|()| Content::Tokens),
        Table::Timeseries => Ok(Content::Timeseries(timeseries::find(state, id, caller).await?.1)),
    }
}

/// Checks that the experiment has results and that its raw data has not been deleted.
async fn kept(state: &AppState, record: &Record, caller: &Caller) -> Result<(), Problem> {
    if record.state != State::Completed && !state.resources.store.has_results(record.id).await? {
        return Err(Problem::not_completed(record.state, shown_failure(record, caller)));
    }
    match state.resources.store.raw_data_dropped_at(record.id).await? {
        Some(dropped_at) => Err(Problem::requests_dropped(dropped_at)),
        None => Ok(()),
    }
}
