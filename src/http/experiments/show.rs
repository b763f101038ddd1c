use axum::{Json, extract::State as AxumState};

use super::view::Experiment;
use crate::http::{access::Caller, extract::IdPath, problem::Problem, state::AppState};

/// Show an experiment
#[utoipa::path(get, path = "/v1/experiments/{id}", tag = "experiments", operation_id = "getExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "The experiment and how far it has come.", body = Experiment),
        (status = 400, description = "The id is not a UUID.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    caller: Caller,
) -> Result<Json<Experiment>, Problem> {
    let record = super::find(&state.store, id).await?;
    let waiting_for = state.scheduler.why_it_waits(&record);
    let shown = Experiment::new(record, state.scheduler.progress(id), &caller);
    Ok(Json(Experiment { waiting_for, ..shown }))
}
