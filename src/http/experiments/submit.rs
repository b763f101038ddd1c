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
/// Also takes a manifest (`GET /v1/experiments/{id}/manifest`), which is the experiment within it: it is refused where the model's
/// files or the prompts have other hashes than it names.
///
/// Answers once the experiment is stored. What the caller may have, and has had, tells `GET /v1/limits`. It runs on any node that has what it needs, as soon as its devices
/// are free: by priority, then by its user's share of recent device time, then by age.
///
/// With a `callback_url` the server POSTs there once the experiment is finished, for hours if it must, at least once: the
/// JSON `{"delivery_id", "event": "experiment.finished", "id", "state", "created_at", "started_at", "finished_at",
/// "links": {"experiment", "results"}}`. `X-Joulemark-Delivery` is the `delivery_id`, `X-Joulemark-Attempt` counts the
/// tries, and `X-Joulemark-Signature: t=SECONDS,v1=HEX` is HMAC-SHA256 with the server's secret over SECONDS (since 1970),
/// a full stop and the body. A status of 2xx takes it, 410 refuses it for good, redirects are not followed. What came of it
/// is the experiment's `callback`.
///
/// With an `Idempotency-Key` the submission may be sent again, after an answer that was lost: for 24 hours the same key
/// with the same experiment gives the experiment that is there already, again as 201 but with `Idempotent-Replayed:
/// true`; with another experiment it is refused. Of those who send it at once one queues it. A submission that was
/// refused leaves its key free.
#[utoipa::path(post, path = "/v1/experiments", tag = "experiments", operation_id = "submitExperiment",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters, best a UUID \
        such as 8e03978e-40d5-43e8-bc93-6894a57f9324; quoted as draft-ietf-httpapi-idempotency-key-header writes it, or \
        bare.",
        pattern = r##"^("[!-~]{1,255}"|[!#-~][!-~]{0,254})$"##)),
    request_body(content((ExperimentRequest = "application/json"), (ExperimentRequest = "application/yaml"))),
    responses(
        (status = 201, description = "Accepted and stored, defaults filled in.", body = Experiment,
            headers(("Location" = String, description = "The experiment, as its client reaches it: a path, or behind a proxy that says so a URL"),
                ("Idempotent-Replayed" = Option<String>, description = "`true` when its key came before"))),
        (status = 400, description = "The body or the key cannot be read, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller may not submit, or has as many bytes stored as may be.", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is neither JSON nor YAML.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a valid experiment, one that no live node can ever run, or another one under a key that came before.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, its disk is full, or so is the queue.", body = Problem, content_type = "application/problem+json"),
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

/// Who submits, and by which request.
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

/// An experiment that was taken into the queue.
pub struct Accepted {
    pub experiment: Box<Experiment>,
    /// Whether it was there already, under the key of this submission.
    pub is_repeat: bool,
}

/// Reads a submission, holds it against what its sender may have, and queues it; one with a key only once.
///
/// # Errors
/// Returns a [`Problem`] for each reason for which a submission is refused, and when the database fails.
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
    // Before anything is checked: what was accepted once stays so, also when its model is gone since.
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
    // Whom device time counts for is who they are, wherever that is known.
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
    // From what was stored, not read back: a failing read would have the client submit twice.
    let outlook = Outlook::of(state, (id, State::Queued), &new.spec).await;
    Ok(Accepted {
        experiment: Box::new(outlook.beside(Experiment::accepted(new))),
        is_repeat: false,
    })
}

/// Returns the experiment that is there already; none when the submission's own is.
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
