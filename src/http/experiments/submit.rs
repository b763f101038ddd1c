use axum::{
    Json,
    body::Bytes,
    extract::{State as AxumState, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::view::Experiment;
use crate::access::Actor;
use crate::clock;
use crate::experiment::{ExperimentId, ExperimentRequest, FieldProblem, Spec, Warning, parse, resolve};
use crate::http::{body, problem::Problem, state::AppState};
use crate::scheduler::locate;
use crate::store::NewExperiment;

/// Submit an experiment
///
/// Answers once the experiment is stored. It runs as soon as its devices are free, first come, first served.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", operation_id = "submitExperiment",
    request_body(content((ExperimentRequest = "application/json"), (ExperimentRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored, defaults filled in.", body = Experiment,
            headers(("Location" = String, description = "Path of the experiment"))),
        (status = 400, description = "The body cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a valid experiment, or one that no device here can ever run.", body = Problem, content_type = "application/problem+json"),
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
    let (spec, warnings) = accept(&state, request).await.map_err(Problem::invalid_experiment)?;
    let new = NewExperiment {
        id: ExperimentId::generate(),
        spec,
        warnings,
        created_at: clock::wall_now(),
        submitted_by: Actor::default(),
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

/// Checks the request against what is here: its model, then everything that depends on host or model.
async fn accept(state: &AppState, request: ExperimentRequest) -> Result<(Spec, Vec<Warning>), Vec<FieldProblem>> {
    let name = request.model_name.clone().unwrap_or_default();
    let (models_dir, hub, synthetic) = (state.models_dir.clone(), state.allow_hub, state.allow_synthetic_engine);
    let located = tokio::task::spawn_blocking(move || locate(&models_dir, &name, hub, synthetic))
        .await
        .map_err(|error| {
            vec![FieldProblem::new(
                "/model_name",
                format!("could not be looked up: {error}"),
            )]
        })?;
    let (model, mut problems, warning) = match located {
        Ok(located) => (Some(located.facts()), Vec::new(), located.warning()),
        Err(refusal) => (None, vec![FieldProblem::new("/model_name", refusal.to_string())], None),
    };
    match resolve(request, &state.host, model.as_ref()) {
        Ok((spec, mut warnings)) if problems.is_empty() => {
            warnings.extend(warning);
            Ok((spec, warnings))
        }
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
