//! `POST /v1/experiments`.

use axum::{
    Json,
    extract::{FromRequestParts, State as AxumState},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::resubmit::{Resubmitted, within_experiment};
use super::{callback, idempotency, outlook::Outlook, view::Experiment};
use crate::http::access::{Caller, Origin};
use crate::http::body::{self, Body, WholeBody};
use crate::http::caller_limits::{quota, refuse_priority, refuse_used_up};
use crate::http::{observe::Traceparent, problem::Problem, repeatable_query::NoQuery};
use crate::http::{request_id::RequestId, state::AppState};
use joulemark_experiment::{Arrival, ExperimentId, ExperimentRequest, State, parse};
use joulemark_measurement::clock;
use joulemark_store::{IdempotencyKey, NewExperiment, Quota, Submitted};

/// Submit an experiment
///
/// The body may also be a manifest (`GET /v1/experiments/{id}/manifest`), which repeats its experiment. It is refused
/// if the model's files or the prompts have other hashes than the manifest names.
///
/// Answers once the experiment is stored; `GET /v1/limits` shows the caller's limits. The experiment runs on any node
/// that has what it needs, as soon as the devices are free: by priority, then by the share of recent device time that
/// its user had, then by age.
///
/// With a `callback_url` the server sends a POST to it once the experiment is finished, at least once, and retries for
/// hours. Its body is the JSON `{"delivery_id", "event": "experiment.finished", "id", "state", "created_at",
/// "started_at", "finished_at", "links": {"experiment", "results"}}`. `X-Joulemark-Delivery` is the `delivery_id`,
/// `X-Joulemark-Attempt` counts the attempts, and `X-Joulemark-Signature: t=SECONDS,v1=HEX` is the HMAC-SHA256, with
/// the server's secret, of SECONDS (since 1970), a full stop and the body. A status of 2xx accepts the callback, 410
/// stops further attempts, and redirects are not followed. The experiment's `callback` shows the outcome.
///
/// With an `Idempotency-Key` a submission can be repeated after a lost answer. For 24 hours the same key with the same
/// experiment returns the existing experiment, with status 201 and `Idempotent-Replayed: true`; with another experiment
/// it is refused. Of concurrent submissions with one key, one is queued. A refused submission does not use up its key.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", operation_id = "submitExperiment",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, preferably a UUID \
        such as 8e03978e-40d5-43e8-bc93-6894a57f9324; quoted as in draft-ietf-httpapi-idempotency-key-header, or \
        unquoted.",
        pattern = r##"^("[!-~]{1,255}"|[!#-~][!-~]{0,254})$"##)),
    request_body(content((ExperimentRequest = "application/json"), (ExperimentRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored, with defaults filled in.", body = Experiment,
            headers(("Location" = String, description = "Address of the experiment: a path, or a URL if a trusted proxy reports the scheme"),
                ("Idempotent-Replayed" = Option<String>, description = "`true` if the key was used before"))),
        (status = 400, description = "The body or the key cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not submit, or the limit on stored bytes is reached.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The experiment is not valid, no live node can run it, or the key was used for another experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, its disk is full, or the queue is full.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn submit(
    AxumState(state): AxumState<AppState>,
    sender: Sender,
    Parts { uri, headers, .. }: Parts,
    WholeBody(bytes): WholeBody,
) -> Result<Response, Problem> {
    NoQuery::check(&uri)?;
    let body = body::read(&headers, &bytes)?;
    let key = idempotency::read(&headers, &body.document, clock::wall_now())?;
    created(accept(&state, &sender, &body, key).await?, &sender.origin)
}

/// The sender of a submission, with the ids of the request.
pub struct Sender {
    pub caller: Caller,
    pub origin: Origin,
    request_id: RequestId,
    traceparent: Option<String>,
}

impl FromRequestParts<AppState> for Sender {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let extensions = &parts.extensions;
        let traceparent = extensions.get::<Traceparent>().and_then(|parent| parent.0.clone());
        Ok(Self {
            caller,
            origin: extensions.get::<Origin>().cloned().ok_or_else(Problem::internal)?,
            request_id: extensions.get::<RequestId>().cloned().ok_or_else(Problem::internal)?,
            traceparent,
        })
    }
}

/// An accepted experiment.
pub struct Accepted {
    pub experiment: Box<Experiment>,
    /// True if an earlier submission with the same key created it.
    pub is_repeat: bool,
}

/// Reads a submission, checks it against the sender's limits, and queues it; with a key, only once.
///
/// # Errors
/// Returns a [`Problem`] if the submission is refused or the database fails.
pub async fn accept(
    state: &AppState,
    sender: &Sender,
    body: &Body<'_>,
    key: Option<IdempotencyKey>,
) -> Result<Accepted, Problem> {
    let Sender { caller, origin, .. } = sender;
    let quota = quota(&state.access.limits, caller);
    let id = ExperimentId::generate();
    let created_at = id.created_at();
    let key = key.map(|key| idempotency::of_caller(key, caller));
    // Looked up first: an accepted experiment is returned again even if its model is gone by now.
    if let Some(key) = &key {
        let found = state.resources.store.look_up_key(key, created_at).await?;
        if let Some(id) = already(found, quota)? {
            return repeated(state, id, caller).await;
        }
    }
    let invalid = |problems| Problem::invalid_experiment(body.as_written(problems));
    let manifest = Resubmitted::read(&body.document).transpose().map_err(invalid)?;
    let mut request = match &manifest {
        None => parse(&body.document).map_err(invalid)?,
        Some(manifest) => parse(manifest.experiment()).map_err(|problems| invalid(within_experiment(problems)))?,
    };
    let misread = body.misread();
    if !misread.is_empty() {
        return Err(Problem::invalid_experiment(misread));
    }
    let refused = |problem: Problem| state.metrics.refused(problem);
    refuse_priority(state, caller, request.priority).map_err(refused)?;
    refuse_used_up(state, caller).await.map_err(refused)?;
    let callback_url = request.callback_url.take();
    // Device time counts for the authenticated user, if there is one.
    request.user = caller.actor().name.or(request.user);
    let (spec, warnings) = state
        .scheduler
        .admit(request)
        .await
        .map_err(Problem::invalid_experiment)?;
    if let Some(manifest) = &manifest {
        manifest.check(state, &spec).await.map_err(invalid)?;
    }
    let callback = callback::checked(state, callback_url, origin)?;
    let new = NewExperiment {
        id,
        spec,
        warnings,
        created_at,
        submitted_by: caller.actor(),
        callback,
        arrival: Arrival {
            request_id: Some(sender.request_id.as_str().to_owned()),
            traceparent: sender.traceparent.clone(),
        },
    };
    let submitted = state.resources.store.submit(&new, key, quota).await?;
    if let Some(id) = already(submitted, quota).map_err(refused)? {
        return repeated(state, id, caller).await;
    }
    state.scheduler.wake();
    // Taken from what was stored: if reading it back failed, the client would submit it again.
    let outlook = Outlook::of(state, (id, State::Queued), &new.spec).await;
    Ok(Accepted {
        experiment: Box::new(outlook.beside(Experiment::accepted(new))),
        is_repeat: false,
    })
}

/// Returns the existing experiment; `None` if the submission was stored as a new one.
pub fn already(submitted: Submitted, quota: Quota) -> Result<Option<ExperimentId>, Problem> {
    match submitted {
        Submitted::Stored => Ok(None),
        Submitted::Repeated(id) => Ok(Some(id)),
        Submitted::KeyTaken => Err(Problem::idempotency_key_taken()),
        Submitted::QueueFull => Err(Problem::queue_full(quota.queued.unwrap_or(0))),
        Submitted::QuotaUsedUp => Err(Problem::quota_used_up(quota.unfinished_of_submitter.unwrap_or(0))),
        Submitted::TooMuchStored { used_bytes } => {
            let allowed_bytes = quota.stored_bytes_of_submitter.unwrap_or(0);
            Err(Problem::too_much_stored(used_bytes, allowed_bytes))
        }
    }
}

/// Returns an existing experiment as the answer to a repeated submission.
async fn repeated(state: &AppState, id: ExperimentId, caller: &Caller) -> Result<Accepted, Problem> {
    let record = super::find(&state.resources.store, id).await?;
    let callback = super::callback_of(state, &record, caller).await?;
    let outlook = Outlook::of(state, (id, record.state), &record.spec).await;
    let shown = Experiment::new(record, state.scheduler.progress(id), caller);
    Ok(Accepted {
        experiment: Box::new(outlook.beside(Experiment { callback, ..shown })),
        is_repeat: true,
    })
}

/// Returns the response to an accepted submission.
fn created(accepted: Accepted, origin: &Origin) -> Result<Response, Problem> {
    let Accepted { experiment, is_repeat } = accepted;
    let location = HeaderValue::from_str(&origin.link(&format!("/v1/experiments/{}", experiment.id)));
    let mut response = (StatusCode::CREATED, Json(experiment)).into_response();
    let location = location.map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, location);
    if is_repeat {
        response
            .headers_mut()
            .insert(idempotency::REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
