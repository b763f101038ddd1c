use axum::{Json, extract::State as AxumState};

use super::view::Experiment;
use super::wait::{WaitParameters, wait};
use crate::http::access::Caller;
use crate::http::extract::{IdPath, StrictQuery};
use crate::http::{places::Stay, problem::Problem, state::AppState};

/// Show an experiment
///
/// With `wait` the answer comes once the experiment is finished, or when the time is up.
#[utoipa::path(get, path = "/v1/experiments/{id}", tag = "experiments", operation_id = "getExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), WaitParameters),
    responses(
        (status = 200, description = "The experiment and how far it has come.", body = Experiment),
        (status = 400, description = "The id is not a UUID, or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many wait.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    StrictQuery(parameters): StrictQuery<WaitParameters>,
    stay: Stay,
    caller: Caller,
) -> Result<Json<Experiment>, Problem> {
    let record = wait(&state, id, &parameters, &stay).await?;
    let callback = super::callback_of(&state, &record, &caller).await?;
    let waiting_for = state.scheduler.why_it_waits(&record);
    let shown = Experiment::new(record, state.scheduler.progress(id), &caller);
    Ok(Json(Experiment {
        waiting_for,
        callback,
        ..shown
    }))
}
