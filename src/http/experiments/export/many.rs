use axum::extract::State as AxumState;
use axum::http::{HeaderMap, request::Parts};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::filter::{FilterParameters, Filtered};
use super::asked;
use super::columns::ExportRow;
use super::download::Download;
use super::rows;
use crate::http::{problem::Problem, repeatable_query::RepeatableQuery, state::AppState};
use crate::tables::{Format, experiment_columns};
use joulemark_store::ListQuery;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParameters {
    #[param(schema_with = asked::format_schema, required = false)]
    format: Option<String>,
    /// `true` for a CSV that a spreadsheet opens: a text that it would take for a formula (it begins with `=`, `+`, `-`,
    /// `@`, a tab or a carriage return) gets an apostrophe in front. Otherwise every text is as it is.
    #[param(value_type = Option<bool>)]
    spreadsheet: Option<String>,
    /// At most so many rows; all without it.
    #[param(value_type = Option<u64>, minimum = 1)]
    limit: Option<String>,
}

/// Export experiments as a table
///
/// A row an experiment, whatever its state, streamed however many there are. Pages are read one after the other, each of
/// one moment: newest first, the default, the rows are those that were there when it began, each as it was when its page
/// was read. Sorted by `finished_at` or `created_at`, what finishes or is submitted meanwhile is at the end. A body that
/// breaks off is not whole: the server failed, or the client took nothing for a minute.
#[utoipa::path(get, path = "/v1/experiments/export", tag = "experiments", operation_id = "exportExperiments",
    params(ExportParameters, FilterParameters),
    responses(
        (status = 200, description = "The table, as a file.",
            headers(("Content-Disposition" = String, description = "The file's name.")),
            content((String = "text/csv"), (ExportRow = "application/x-ndjson"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` asks for another format.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or as many exports run as may at a time.", body = Problem,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds to wait."))),
        (status = 505, description = "CSV and JSON Lines need HTTP/1.1: before it nobody could tell the end from a break.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn many(
    AxumState(state): AxumState<AppState>,
    RepeatableQuery(parameters): RepeatableQuery<Filtered<ExportParameters>>,
    parts: Parts,
) -> Result<Response, Problem> {
    let asked = read(parameters, &parts.headers)?;
    let download = Download::new(asked.format, "joulemark-experiments".to_owned(), &state, &parts)?;
    let batches = rows::experiments(state.resources.store, asked.query, asked.most).await?;
    download.respond(experiment_columns(), batches)
}

#[derive(Debug)]
struct Asked {
    format: Format,
    query: ListQuery,
    most: Option<u64>,
}

fn read(Filtered { own, filter }: Filtered<ExportParameters>, headers: &HeaderMap) -> Result<Asked, Problem> {
    let format = asked::format(own.format.as_deref(), headers)?;
    Ok(Asked {
        format: asked::for_spreadsheet(own.spreadsheet.as_deref(), format)?,
        most: own.limit.as_deref().map(read_most).transpose()?,
        query: filter.query()?,
    })
}

fn read_most(text: &str) -> Result<u64, Problem> {
    // As the description has it, an int64.
    let limit = text.parse::<i64>().ok().filter(|limit| *limit > 0);
    let limit = limit.and_then(|limit| u64::try_from(limit).ok());
    let detail = || format!("is {text:?}; accepted is a whole number from 1 on");
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
    fn filters_format_and_limit_stand_side_by_side() {
        let asked = read_pairs(&[("format", "jsonl"), ("model", "m"), ("limit", "1000000")]).unwrap();
        assert_eq!((asked.format, asked.most), (Format::JsonLines, Some(1_000_000)));
        assert_eq!(asked.query.model_name.as_deref(), Some("m"));
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_is_accepted() {
        for (name, value, accepted) in [
            ("format", "xlsx", "csv, jsonl, parquet"),
            ("spreadsheet", "maybe", "true nor false"),
            ("limit", "0", "from 1 on"),
            ("cursor", "x", "format, spreadsheet, limit, state"),
            ("sort", "size", "created_at"),
        ] {
            let problem = read_pairs(&[(name, value)]).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (400, name));
            assert!(problem.detail.contains(accepted), "{}", problem.detail);
        }
    }
}
