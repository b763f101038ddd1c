//! `GET /v1/experiments/{id}/events`.

use axum::{
    extract::State as AxumState,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::http::access::Caller;
use crate::http::follow::{Follower, Scope, last_event_id};
use crate::http::{extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};

/// Follow an experiment
///
/// A stream of events (`text/event-stream`) until the experiment is finished. Each has an `id`, the name of the
/// `event`, and a line of JSON as `data`:
///
/// - `state` (StateEvent): one for every change of state, on any server. None is left out and none is repeated.
/// - `progress` (ProgressEvent): every second while the experiment runs on the server that answers. If it runs on
///   another server, there are only `state` events. A client that reads slowly misses `progress` events, but no `state`
///   events.
///
/// Without `Last-Event-ID` the stream begins with the present state. With it, it begins with all states after that
/// event; 0 gives the whole history. The ids of `state` events are stored in the database: they stay the same after a
/// restart, and on every server of the database. A `progress` event has the id of the last `state` event before it, so
/// it is never sent again.
///
/// The stream ends after the event with `"final": true`; a request for later events gets a 204, on which an EventSource
/// stops reconnecting. The server also ends the stream when it stops, and after an hour, so that the API key is checked
/// again: reconnect with `Last-Event-ID`. A comment is sent after 15 s without an event.
#[utoipa::path(get, path = "/v1/experiments/{id}/events", tag = "experiments", operation_id = "followExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that the client has.")),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = String),
        (status = 204, description = "The experiment is finished and the client has its last event."),
        (status = 400, description = "The id is not a UUID, Last-Event-ID is not the id of an event, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached, or too many streams are open.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn experiment_events(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event_id(&headers)?;
    let permit = state.streams.take(&caller)?;
    // Created before the database is read, so that no event is missed in between.
    let listener = state.resources.feed.listen_to(id);
    let latest = state.resources.store.latest_transition(id).await?;
    let latest = latest.ok_or_else(|| Problem::no_experiment(id))?;
    let Some(after) = after else {
        let follower = Follower::new(state, (Scope::One(id), listener), 0, permit);
        return Ok(follower.with_past(vec![latest]).into_response());
    };
    if latest.state.is_finished() && after >= latest.seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let past = state.resources.store.transitions_of(id, after).await?;
    let follower = Follower::new(state, (Scope::One(id), listener), after.min(latest.seq), permit);
    Ok(follower.with_past(past).into_response())
}
