use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::{ExperimentId, State};
use crate::http::{extract::IdPath, problem::Problem, state::AppState};
use crate::measurement::RankCycle;

/// The raw results: one item a rank and cycle, with every request and the time of every token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Processes {
    pub id: ExperimentId,
    pub items: Vec<RankCycle>,
}

/// Read a completed experiment's raw results
#[utoipa::path(get, path = "/v1/experiments/{id}/processes", tag = "experiments", operation_id = "getProcesses",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "Raw results by rank and cycle.", body = Processes),
        (status = 400, description = "The id is not a UUID.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not completed; `state` says how far it is.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn processes(AxumState(state): AxumState<AppState>, IdPath(id): IdPath) -> Result<Json<Processes>, Problem> {
    let record = super::find(&state.store, id).await?;
    if record.state != State::Completed {
        return Err(Problem::not_completed(record.state, record.failure));
    }
    Ok(Json(Processes {
        id,
        items: state.store.rank_cycles(id).await?,
    }))
}
