use axum::{Json, extract::State as AxumState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::Experiment;
use crate::experiment::{ExperimentId, State};
use crate::http::{access::Caller, extract::StrictQuery, problem::Problem, state::AppState};
use crate::store::ListQuery;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 500;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// Experiments on a page, 1 to 500; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only experiments in this state.
    state: Option<State>,
}

/// A page of experiments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExperimentPage {
    pub items: Vec<Experiment>,
    /// What to pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// List experiments, newest first
#[utoipa::path(get, path = "/v1/experiments", tag = "experiments", operation_id = "listExperiments",
    params(ListParameters),
    responses(
        (status = 200, description = "A page of experiments.", body = ExperimentPage),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(
    AxumState(state): AxumState<AppState>,
    caller: Caller,
    StrictQuery(parameters): StrictQuery<ListParameters>,
) -> Result<Json<ExperimentPage>, Problem> {
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid_parameter(
            "limit",
            format!("is {limit}; accepted are 1 to {MAX_LIMIT}"),
        ));
    }
    let before = parameters.cursor.as_deref().map(read_cursor).transpose()?;
    // One more than asked for tells whether there is a next page.
    let query = ListQuery {
        before,
        limit: limit + 1,
        state: parameters.state,
        label: None,
    };
    let mut records = state.store.list(&query).await?;
    let more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let next_cursor = records.last().filter(|_| more).map(|record| record.id.to_string());
    let items = records
        .into_iter()
        .map(|record| {
            let progress = state.scheduler.progress(record.id);
            Experiment::new(record, progress, &caller)
        })
        .collect();
    Ok(Json(ExperimentPage { items, next_cursor }))
}

fn read_cursor(text: &str) -> Result<ExperimentId, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid_parameter("cursor", format!("is {text:?}; accepted is a page's next_cursor")))
}
