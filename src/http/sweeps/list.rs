//! `GET /v1/sweeps`.

use axum::{Json, extract::State as AxumState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::{SweepProgress, SweepSummary};
use crate::http::page::{DEFAULT_LIMIT, read_cursor, read_limit};
use crate::http::repeatable_query::RepeatableQuery;
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::ExperimentId;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct SweepPageParameters {
    /// Maximum number of sweeps on a page, 1 to 500; default 50.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// A page of sweeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct SweepPage {
    /// The sweeps of this page.
    pub items: Vec<SweepSummary>,
    /// Value of `cursor` for the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// List sweeps
///
/// In pages, newest first, each with its progress.
#[utoipa::path(get, path = "/v1/sweeps", tag = "sweeps", operation_id = "listSweeps",
    params(SweepPageParameters),
    responses(
        (status = 200, description = "A page of sweeps.", body = SweepPage),
        (status = 400, description = "A parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(
    AxumState(state): AxumState<AppState>,
    RepeatableQuery(parameters): RepeatableQuery<SweepPageParameters>,
) -> Result<Json<SweepPage>, Problem> {
    let limit = parameters.limit.as_deref().map_or(Ok(DEFAULT_LIMIT), read_limit)?;
    let before = parameters
        .cursor
        .as_deref()
        .map(read_cursor::<ExperimentId>)
        .transpose()?;
    let mut listed = state.resources.store.sweeps(before, limit + 1).await?;
    let has_more = listed.len() > limit as usize;
    listed.truncate(limit as usize);
    let next_cursor = listed
        .last()
        .filter(|_| has_more)
        .map(|(sweep, _)| sweep.id.to_string());
    let items = listed.into_iter();
    let items = items.map(|(sweep, counts)| SweepSummary::new(sweep, SweepProgress::of_counts(&counts)));
    Ok(Json(SweepPage {
        items: items.collect(),
        next_cursor,
    }))
}
