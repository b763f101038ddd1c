use axum::{Json, extract::State as AxumState};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::shown;
use super::wait::{WaitParameters, wait};
use crate::experiment::{ExperimentId, Spec};
use crate::http::access::Caller;
use crate::http::extract::{IdPath, StrictQuery};
use crate::http::{places::Stay, problem::Problem, state::AppState};
use crate::report::Report;

/// A completed experiment's aggregate and efficiency, with all that is needed to cite or repeat it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Results {
    pub id: ExperimentId,
    #[serde(flatten)]
    pub report: Report,
    /// The experiment as it was run, defaults filled in.
    pub experiment: Spec,
    /// How many prompts are left out of `experiment.prompts`, because they are another's; null when it is whole.
    pub prompts_withheld: Option<u32>,
}

/// Read a completed experiment's results
///
/// With `wait` the answer comes once the experiment is finished, or when the time is up.
#[utoipa::path(get, path = "/v1/experiments/{id}/results", tag = "experiments", operation_id = "getResults",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"), WaitParameters),
    responses(
        (status = 200, description = "Aggregate, efficiency and checks.", body = Results),
        (status = 400, description = "The id is not a UUID, or a parameter is not valid.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not completed; `state` says how far it is.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many wait.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn results(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    StrictQuery(parameters): StrictQuery<WaitParameters>,
    stay: Stay,
    caller: Caller,
) -> Result<Json<Results>, Problem> {
    let record = wait(&state, id, &parameters, &stay).await?;
    match state.store.report(id).await? {
        Some(report) => {
            let (experiment, prompts_withheld) = shown(record.spec, record.submitter.as_deref(), &caller);
            Ok(Json(Results {
                id,
                report,
                experiment,
                prompts_withheld,
            }))
        }
        None => Err(Problem::not_completed(record.state, record.failure)),
    }
}
