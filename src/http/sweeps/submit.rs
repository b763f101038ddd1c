//! `POST /v1/sweeps`.

use axum::{
    Extension, Json,
    extract::State as AxumState,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::points::{Submission, sweep_of};
use super::view::Sweep;
use crate::http::access::{Caller, Origin};
use crate::http::body::{self, WholeBody};
use crate::http::caller_limits::{quota, refuse_used_up};
use crate::http::experiments::idempotency;
use crate::http::experiments::submit::already;
use crate::http::{observe::Traceparent, problem::Problem, repeatable_query::NoQuery};
use crate::http::{request_id::RequestId, state::AppState};
use joulemark_experiment::sweep::SweepRequest;
use joulemark_experiment::{Arrival, ExperimentId};
use joulemark_store::SweepRecord;

/// Submit a sweep
///
/// Submits an experiment for each point and repeat, up to 1,000; all are accepted, or none. Each is an ordinary
/// experiment with the labels `sweep` and `sweep_point`, which is checked, queued, limited and listed like any other.
/// Points that are equal with defaults filled in share their experiments. By default each point is queued once before
/// any is repeated, so that drift affects all points alike.
///
/// With a `goal`, only the points that its search needs are run. The search continues whenever the experiments it waits
/// for have ended, and its answer lists everything that it tried. `Idempotency-Key` works as for an experiment.
/// docs/sweeps.md has examples.
#[utoipa::path(post, path = "/v1/sweeps", tag = "sweeps", operation_id = "submitSweep",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, preferably a UUID; \
        quoted or unquoted.", pattern = r##"^("[!-~]{1,255}"|[!#-~][!-~]{0,254})$"##)),
    request_body(content((SweepRequest = "application/json"), (SweepRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored.", body = Sweep,
            headers(("Location" = String, description = "Address of the sweep: a path, or a URL if a trusted proxy reports the scheme"),
                ("Idempotent-Replayed" = Option<String>, description = "`true` if the key was used before"))),
        (status = 400, description = "The body or the key cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not submit, or the limit on stored bytes would be exceeded.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The sweep is not valid, no live node can run one of its points, or the key was used for another submission.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, its disk is full, or the queue has no room for all experiments.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn submit(
    AxumState(state): AxumState<AppState>,
    Extension(origin): Extension<Origin>,
    Extension(request_id): Extension<RequestId>,
    Extension(Traceparent(traceparent)): Extension<Traceparent>,
    caller: Caller,
    Parts { uri, headers, .. }: Parts,
    WholeBody(bytes): WholeBody,
) -> Result<Response, Problem> {
    NoQuery::check(&uri)?;
    let body = body::read(&headers, &bytes)?;
    let quota = quota(&state.access.limits, &caller);
    let id = ExperimentId::generate();
    let key = idempotency::read(&headers, &body.document, id.created_at())?;
    let key = key.map(|key| idempotency::of_caller(key, &caller));
    if let Some(key) = &key {
        let found = state.resources.store.look_up_key(key, id.created_at()).await?;
        if let Some(experiment) = already(found, quota)? {
            return replay(&state, experiment, &origin).await;
        }
    }
    let request =
        SweepRequest::read(&body.document).map_err(|problems| Problem::invalid_sweep(body.as_written(problems)))?;
    let misread = body.misread();
    if !misread.is_empty() {
        return Err(Problem::invalid_sweep(misread));
    }
    let refused = |problem: Problem| state.metrics.refused(problem);
    refuse_used_up(&state, &caller).await.map_err(refused)?;
    let of = Submission {
        id,
        caller: &caller,
        origin: &origin,
        arrival: Arrival {
            request_id: Some(request_id.as_str().to_owned()),
            traceparent,
        },
    };
    let new = sweep_of(&state, request, &of).await?.map_err(Problem::invalid_sweep)?;
    let submitted = state.resources.store.submit_sweep(&new, key, quota).await?;
    if let Some(experiment) = already(submitted, quota).map_err(refused)? {
        return replay(&state, experiment, &origin).await;
    }
    state.scheduler.wake();
    let record = super::find(&state, id).await?;
    created(&state, record, &origin).await
}

/// Answers with the sweep that was submitted with the same key before.
async fn replay(state: &AppState, experiment: ExperimentId, origin: &Origin) -> Result<Response, Problem> {
    // The key may belong to a single experiment.
    let found = state.resources.store.sweep_of(experiment).await?;
    let record = found.ok_or_else(Problem::idempotency_key_taken)?;
    let mut response = created(state, record, origin).await?;
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(idempotency::REPLAYED, replayed);
    Ok(response)
}

/// Answers with a new sweep.
async fn created(state: &AppState, record: SweepRecord, origin: &Origin) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&origin.link(&format!("/v1/sweeps/{}", record.id)));
    let location = location.map_err(|_| Problem::internal())?;
    let runs = state.resources.store.sweep_runs(record.id).await?;
    let shown = Sweep::new(state, record, runs).await;
    let mut response = (StatusCode::CREATED, Json(shown)).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}
