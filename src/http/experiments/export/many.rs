use std::collections::HashSet;

use axum::extract::State as AxumState;
use axum::http::{HeaderMap, request::Parts};
use axum::response::Response;
use utoipa::IntoParams;

use super::super::filter::{Filter, FilterParameters, NAMES};
use super::asked;
use super::columns::ExportRow;
use super::download::Download;
use super::rows;
use crate::http::{extract::StrictQuery, problem::Problem, state::AppState};
use crate::tables::{Format, experiment_columns};
use joulemark_store::ListQuery;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "for the description; `read` takes them one by one, since a label may be repeated"
)]
pub struct ExportParameters {
    #[param(schema_with = asked::format_schema, required = false)]
    format: Option<String>,
    /// `true` for a CSV that a spreadsheet opens: a text that it would take for a formula (it begins with `=`, `+`, `-`,
    /// `@`, a tab or a carriage return) gets an apostrophe in front. Otherwise every text is as it is.
    spreadsheet: Option<bool>,
    /// At most so many rows; all without it.
    #[param(minimum = 1)]
    limit: Option<u64>,
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
    StrictQuery(parameters): StrictQuery<Vec<(String, String)>>,
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

fn read(parameters: Vec<(String, String)>, headers: &HeaderMap) -> Result<Asked, Problem> {
    let (mut filter, mut most) = (Filter::default(), None);
    let (mut format, mut spreadsheet) = (None, None);
    let mut seen = HashSet::new();
    for (name, value) in parameters {
        if !Filter::may_repeat(&name) && !seen.insert(name.clone()) {
            return Err(Problem::invalid_parameter(&name, "is there twice; accepted is one"));
        }
        match name.as_str() {
            "format" => format = Some(value),
            "spreadsheet" => spreadsheet = Some(value),
            "limit" => {
                // As the description has it, an int64.
                let limit = value.parse::<i64>().ok().filter(|limit| *limit > 0);
                let limit = limit.and_then(|limit| u64::try_from(limit).ok());
                let detail = || format!("is {value:?}; accepted is a whole number from 1 on");
                most = Some(limit.ok_or_else(|| Problem::invalid_parameter("limit", detail()))?);
            }
            _ if filter.take(&name, &value)? => {}
            _ => {
                let accepted = format!("is unknown; accepted are format, spreadsheet, limit, {NAMES}");
                return Err(Problem::invalid_parameter(&name, accepted));
            }
        }
    }
    let format = asked::format(format.as_deref(), headers)?;
    Ok(Asked {
        format: asked::for_spreadsheet(spreadsheet.as_deref(), format)?,
        query: filter.query()?,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Result<Asked, Problem> {
        let pairs = pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        read(pairs.collect(), &HeaderMap::new())
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
