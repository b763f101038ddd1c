//! `GET /v1/experiments/export`.

use axum::extract::State as AxumState;
use axum::http::{HeaderMap, request::Parts};
use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::super::filter::{FilterParameters, Filtered};
use super::super::view::hides_texts;
use super::asked;
use super::columns::ExportRow;
use super::download::Download;
use super::rows;
use crate::http::access::Caller;
use crate::http::{problem::Problem, repeatable_query::RepeatableQuery, state::AppState};
use crate::tables::{Format, cycle_columns, experiment_columns, label_columns, request_columns, token_columns};
use joulemark_measurement::quoted;
use joulemark_store::{ListQuery, Record};

/// A table of experiments.
///
/// - `summary`: one row per experiment
/// - `cycles`: one row per measured cycle, with its figures
/// - `requests`: one row per request
/// - `tokens`: one row per output token
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TableOfMany {
    #[default]
    Summary,
    Cycles,
    Requests,
    Tokens,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParameters {
    #[param(schema_with = asked::format_schema, required = false)]
    format: Option<String>,
    /// `true` for a CSV that is safe to open in a spreadsheet: a text that it would take for a formula (one that begins
    /// with `=`, `+`, `-`, `@`, a tab or a carriage return) is preceded by an apostrophe. Otherwise texts are
    /// unchanged.
    #[param(value_type = Option<bool>)]
    spreadsheet: Option<String>,
    /// Which table; the default is `summary`. The other tables cover completed experiments, one after the other,
    /// without those whose raw data was deleted by retention.
    #[param(value_type = Option<TableOfMany>, inline)]
    what: Option<String>,
    /// Names of up to 64 labels, separated by commas, each of which becomes a column `label_NAME` at the end of
    /// `summary`. The value is null if an experiment has no such label.
    #[param(example = "paper,team")]
    label_columns: Option<String>,
    /// Maximum number of experiments; the default is all.
    #[param(value_type = Option<u64>, minimum = 1)]
    limit: Option<String>,
}

/// Export experiments as a table
///
/// Streams one row per experiment in any state; with `what`, one row per cycle, request or token of the completed ones,
/// with columns described in the Parquet schema. Pages are read one after the other. In the default order, newest
/// first, the rows are the experiments that existed when the export began, each as it was when its page was read.
/// Sorted by `finished_at` or `created_at`, experiments that finish or are submitted during the export come at the end.
/// An incomplete body means that the server failed, or that the client took no data for a minute.
#[utoipa::path(get, path = "/v1/experiments/export", tag = "experiments", operation_id = "exportExperiments",
    params(ExportParameters, FilterParameters),
    responses(
        (status = 200, description = "The table, as a file.",
            headers(("Content-Disposition" = String, description = "The file's name.")),
            content((String = "text/csv"), (ExportRow = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` asks for another format.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or the maximum number of exports is open.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 505, description = "CSV and JSON Lines need HTTP/1.1, in which an incomplete body can be detected.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn many(
    AxumState(state): AxumState<AppState>,
    RepeatableQuery(parameters): RepeatableQuery<Filtered<ExportParameters>>,
    caller: Caller,
    parts: Parts,
) -> Result<Response, Problem> {
    let Asked {
        format,
        what,
        labels,
        query,
        max_experiments,
    } = read(parameters, &parts.headers)?;
    let name = format!("joulemark-{}", what.name());
    let store = state.resources.store.on_behalf_of(&caller.held_as());
    let download = Download::new(format, name, &state, (&caller, &parts))?;
    match what {
        TableOfMany::Summary => {
            let of = move |read| rows::experiment(read, &caller);
            let batches = rows::experiments(store, query, max_experiments, of).await?;
            let columns = experiment_columns().into_iter().chain(label_columns(&labels));
            download.respond(columns.collect(), batches)
        }
        TableOfMany::Cycles => {
            let of = |(record, report): (_, _)| rows::cycles((&record, report));
            let batches = rows::experiments(store, query, max_experiments, of).await?;
            download.respond(cycle_columns(), batches.map_ok(rows::cycles_of_each))
        }
        TableOfMany::Requests => {
            let records = rows::experiments(store.clone(), query, max_experiments, |(record, _)| record).await?;
            let of = move |record: Record| rows::requests(&store, record.id);
            download.respond(request_columns(), rows::of_each(records, of).boxed())
        }
        TableOfMany::Tokens => {
            let records = rows::experiments(store.clone(), query, max_experiments, |(record, _)| record).await?;
            let of = move |record: Record| {
                let withheld = hides_texts(&record.spec, record.submitter.as_deref(), &caller);
                rows::output_tokens(&store, record.id, withheld)
            };
            download.respond(token_columns(), rows::of_each(records, of).boxed())
        }
    }
}

impl TableOfMany {
    const ALL: [Self; 4] = [Self::Summary, Self::Cycles, Self::Requests, Self::Tokens];

    /// Returns the last part of the file's name.
    fn name(self) -> &'static str {
        match self {
            Self::Summary => "experiments",
            other => other.word(),
        }
    }

    /// Returns the value of the parameter `what`.
    fn word(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Cycles => "cycles",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }
}

fn read_what(text: &str) -> Result<TableOfMany, Problem> {
    let found = TableOfMany::ALL.into_iter().find(|table| table.word() == text);
    let words = TableOfMany::ALL.map(TableOfMany::word).join(", ");
    found.ok_or_else(|| {
        Problem::invalid_parameter("what", format!("is {text}; accepted are {words}", text = quoted(&text)))
    })
}

#[derive(Debug)]
/// An export that was requested.
struct Asked {
    format: Format,
    what: TableOfMany,
    /// Labels that become columns.
    labels: Vec<String>,
    query: ListQuery,
    max_experiments: Option<u64>,
}

fn read(Filtered { own, filter }: Filtered<ExportParameters>, headers: &HeaderMap) -> Result<Asked, Problem> {
    let format = asked::format(own.format.as_deref(), headers)?;
    let what = own.what.as_deref().map(read_what).transpose()?.unwrap_or_default();
    Ok(Asked {
        labels: own
            .label_columns
            .map_or(Ok(Vec::new()), |names| read_labels(&names, what))?,
        what,
        format: asked::for_spreadsheet(own.spreadsheet.as_deref(), format)?,
        max_experiments: own.limit.as_deref().map(read_limit).transpose()?,
        query: filter.query()?,
    })
}

/// Maximum number of labels, that of an experiment.
const MAX_LABELS: usize = 64;

fn read_labels(text: &str, what: TableOfMany) -> Result<Vec<String>, Problem> {
    let refuse = |detail: String| Err(Problem::invalid_parameter("label_columns", detail));
    if what != TableOfMany::Summary {
        return refuse("is given; it is accepted only with what=summary".to_owned());
    }
    let mut names: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() || name.contains(char::is_control) {
            return refuse(format!(
                "is {text}; accepted are names of labels, separated by commas",
                text = quoted(&text)
            ));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    match names.len() {
        0..=MAX_LABELS => Ok(names),
        many => refuse(format!("names {many} labels; accepted are at most {MAX_LABELS}")),
    }
}

fn read_limit(text: &str) -> Result<u64, Problem> {
    // An int64, as in the API's description.
    let limit = text.parse::<i64>().ok().filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| u64::try_from(limit).ok());
    let detail = || {
        format!(
            "is {text}; accepted is a whole number of at least 1",
            text = quoted(&text)
        )
    };
    limit.ok_or_else(|| Problem::invalid_parameter("limit", detail()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::repeatable_query;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Asked, Problem> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        read(repeatable_query::read(pairs.collect())?, &HeaderMap::new())
    }

    #[test]
    fn filters_format_and_limit_are_read_together() {
        let asked = read_pairs(&[("format", "jsonl"), ("model", "m"), ("limit", "1000000")]).unwrap();
        assert_eq!(
            (asked.format, asked.max_experiments),
            (Format::JsonLines, Some(1_000_000))
        );
        assert_eq!(asked.query.model_name.as_deref(), Some("m"));
    }

    #[test]
    fn labels_get_columns_in_the_summary_alone_each_once() {
        let asked = read_pairs(&[("label_columns", "paper, team,paper")]).unwrap();
        assert_eq!(asked.labels, ["paper", "team"]);
        let problem = read_pairs(&[("label_columns", "paper"), ("what", "cycles")]).unwrap_err();
        assert_eq!(problem.errors[0].pointer, "label_columns");
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (name, value, accepted) in [
            ("format", "xlsx", "csv, jsonl, parquet"),
            ("spreadsheet", "maybe", "true nor false"),
            ("what", "timeseries", "summary, cycles, requests, tokens"),
            ("label_columns", "a,,b", "names of labels"),
            ("limit", "0", "of at least 1"),
            ("cursor", "x", "format, spreadsheet, what, label_columns, limit, state"),
            ("sort", "size", "created_at"),
        ] {
            let problem = read_pairs(&[(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
    }
}
