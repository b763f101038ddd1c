use axum::{
    Extension, Json,
    body::Bytes,
    extract::{State as AxumState, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::admission::{not_on_the_list, oversize, room};
use super::view::Experiment;
use crate::clock;
use crate::experiment::{ExperimentId, ExperimentRequest, FieldProblem, Spec, Warning, parse, resolve};
use crate::http::access::{Caller, Origin};
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
            headers(("Location" = String, description = "The experiment, as its client reaches it: a path, or behind a proxy that says so a URL"))),
        (status = 400, description = "The body cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a valid experiment, or one that no device here can ever run.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or the queue is full.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn submit(
    AxumState(state): AxumState<AppState>,
    Extension(origin): Extension<Origin>,
    caller: Caller,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let bytes = bytes.map_err(|rejection| body::refused(&rejection, &state))?;
    let document = body::read(&headers, &bytes)?;
    let request = parse(&document).map_err(Problem::invalid_experiment)?;
    let (spec, warnings) = accept(&state, request).await.map_err(Problem::invalid_experiment)?;
    let new = NewExperiment {
        id: ExperimentId::generate(),
        spec,
        warnings,
        created_at: clock::wall_now(),
        submitted_by: caller.actor(),
    };
    let id = new.id;
    {
        let _submitting = state.submitting.lock().await;
        room(&state.store, &state.access.limits, &caller).await?;
        state.store.insert(&new).await?;
    }
    state.scheduler.wake();
    // From what was stored, not read back: a failing read would have the client submit twice.
    let mut response = (StatusCode::CREATED, Json(Experiment::accepted(new))).into_response();
    let location =
        HeaderValue::from_str(&origin.link(&format!("/v1/experiments/{id}"))).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Checks the request against what is here: its model, then everything that depends on host or model.
async fn accept(state: &AppState, request: ExperimentRequest) -> Result<(Spec, Vec<Warning>), Vec<FieldProblem>> {
    let name = request.model_name.clone().unwrap_or_default();
    let (models_dir, hub, synthetic) = (state.models_dir.clone(), state.allow_hub, state.allow_synthetic_engine);
    let access = state.access.clone();
    let look = move || match not_on_the_list(&access, &models_dir, &name).filter(|_| hub) {
        Some(refused) => Err(refused),
        None => locate(&models_dir, &name, hub, synthetic)
            .map_err(|refusal| FieldProblem::new("/model_name", refusal.to_string())),
    };
    let located = tokio::task::spawn_blocking(look).await.map_err(|error| {
        vec![FieldProblem::new(
            "/model_name",
            format!("could not be looked up: {error}"),
        )]
    })?;
    let (model, mut problems, warning) = match located {
        Ok(located) => (Some(located.facts()), Vec::new(), located.warning()),
        Err(refused) => (None, vec![refused], None),
    };
    match resolve(request, &state.host, model.as_ref()) {
        Ok((spec, mut warnings)) if problems.is_empty() => {
            warnings.extend(warning);
            match oversize(&spec, &state.access.limits) {
                too_much if !too_much.is_empty() => Err(too_much),
                _ => Ok((spec, warnings)),
            }
        }
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}
