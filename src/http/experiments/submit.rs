use axum::{
    Json,
    body::Bytes,
    extract::{State as AxumState, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::view::Experiment;
use crate::clock;
use crate::experiment::{ExperimentId, ExperimentRequest, parse};
use crate::http::{body, problem::Problem, state::AppState};
use crate::store::NewExperiment;

/// Submit an experiment
///
/// Answers once the experiment is stored. It runs on any node that has what it needs, as soon as its devices
/// are free: by priority, then by its user's share of recent device time, then by age.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", operation_id = "submitExperiment",
    request_body(content((ExperimentRequest = "application/json"), (ExperimentRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored, defaults filled in.", body = Experiment,
            headers(("Location" = String, description = "Path of the experiment"))),
        (status = 400, description = "The body cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a valid experiment, or one that no live node can ever run.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn submit(
    AxumState(state): AxumState<AppState>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let bytes = bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::body_too_large(state.max_body_bytes),
        _ => Problem::malformed_body(rejection.body_text()),
    })?;
    let document = body::read(&headers, &bytes)?;
    let request = parse(&document).map_err(Problem::invalid_experiment)?;
    let (spec, warnings) = state
        .scheduler
        .admit(request)
        .await
        .map_err(Problem::invalid_experiment)?;
    let new = NewExperiment {
        id: ExperimentId::generate(),
        spec,
        warnings,
        created_at: clock::wall_now(),
    };
    let id = new.id;
    state.store.insert(&new).await?;
    state.scheduler.wake();
    // From what was stored, not read back: a failing read would have the client submit twice.
    let mut response = (StatusCode::CREATED, Json(Experiment::accepted(new))).into_response();
    let location = HeaderValue::from_str(&format!("/v1/experiments/{id}")).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
