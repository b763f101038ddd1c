use axum::{
    Json,
    body::Bytes,
    extract::{State as AxumState, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{idempotency, view::Experiment};
use crate::experiment::{ExperimentId, ExperimentRequest, parse};
use crate::http::{body, problem::Problem, state::AppState};
use crate::store::{NewExperiment, Submitted};

/// Submit an experiment
///
/// Answers once the experiment is stored. It runs on any node that has what it needs, as soon as its devices
/// are free: by priority, then by its user's share of recent device time, then by age.
///
/// With an `Idempotency-Key` the submission may be sent again, after an answer that was lost: for 24 hours the same key
/// with the same experiment gives the experiment that is there already, again as 201 but with `Idempotent-Replayed:
/// true`; with another experiment it is refused. Of those who send it at once one queues it. A submission that was
/// refused leaves its key free.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", operation_id = "submitExperiment",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, best a UUID; \
        quoted as draft-ietf-httpapi-idempotency-key-header writes it, or bare.",
        example = "8e03978e-40d5-43e8-bc93-6894a57f9324")),
    request_body(content((ExperimentRequest = "application/json"), (ExperimentRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored, defaults filled in.", body = Experiment,
            headers(("Location" = String, description = "Path of the experiment"),
                ("Idempotent-Replayed" = Option<String>, description = "`true` when its key came before"))),
        (status = 400, description = "The body or the key cannot be read.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a valid experiment, one that no live node can ever run, or another one under a key that came before.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or its disk is full.", body = Problem, content_type = "application/problem+json"),
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
    let id = ExperimentId::generate();
    let created_at = id.created_at();
    let key = idempotency::read(&headers, &document, created_at)?;
    // Before anything is checked: what was accepted once stays so, also when its model is gone since.
    if let Some(key) = &key {
        let found = state.store.look_up_key(key, created_at).await?;
        if found != Submitted::Stored {
            return replay(&state, found).await;
        }
    }
    let request = parse(&document).map_err(Problem::invalid_experiment)?;
    let (spec, warnings) = state
        .scheduler
        .admit(request)
        .await
        .map_err(Problem::invalid_experiment)?;
    let new = NewExperiment {
        id,
        spec,
        warnings,
        created_at,
    };
    let submitted = state.store.submit(&new, key).await?;
    if submitted != Submitted::Stored {
        return replay(&state, submitted).await;
    }
    state.scheduler.wake();
    // From what was stored, not read back: a failing read would have the client submit twice.
    created(Experiment::accepted(new))
}

async fn replay(state: &AppState, submitted: Submitted) -> Result<Response, Problem> {
    let Submitted::Repeated(id) = submitted else {
        return Err(Problem::idempotency_key_taken());
    };
    let record = super::find(&state.store, id).await?;
    let mut response = created(Experiment::new(record, state.scheduler.progress(id)))?;
    response
        .headers_mut()
        .insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn created(experiment: Experiment) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/v1/experiments/{}", experiment.id));
    let mut response = (StatusCode::CREATED, Json(experiment)).into_response();
    let location = location.map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
