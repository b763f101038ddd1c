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
/// A stream of events (`text/event-stream`) until the experiment is finished, each with an `id`, the `event`'s name and
/// a line of JSON as `data`:
///
/// - `state` (StateEvent) for every change of state, whichever server makes it. None is left out and none comes twice.
/// - `progress` (ProgressEvent) every second while the experiment runs on the server that was asked; of what another
///   server runs there are states alone. A client that reads slowly misses progress, never a state.
///
/// Without `Last-Event-ID` the present state comes at once. With it come all states after that event; 0 gives the whole
/// history. The ids of states are kept in the database: they mean the same after a restart and on every server of the
/// database. A progress event carries the id of the last state before it, so that it is never sent again.
///
/// The stream ends after the event with `"final": true`; who asks for what comes after it gets 204, at which an
/// EventSource stops asking. The server ends a stream when it stops, and after an hour, when the key is looked at again:
/// ask again with `Last-Event-ID`. A comment is sent every 15 s where nothing else is.
#[utoipa::path(get, path = "/v1/experiments/{id}/events", tag = "experiments", operation_id = "followExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The id of the last event that the client has.")),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = String),
        (status = 204, description = "The experiment is finished and the client has its last event."),
        (status = 400, description = "The id is not a UUID, Last-Event-ID no event's id, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
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
    let place = state.streams.take(&caller)?;
    // Before the database is asked, so that nothing falls between.
    let listener = state.resources.feed.listen_to(id);
    let latest = state.resources.store.latest_transition(id).await?;
    let latest = latest.ok_or_else(|| Problem::no_experiment(id))?;
    let Some(after) = after else {
        let follower = Follower::new(state, (Scope::One(id), listener), 0, place);
        return Ok(follower.with_past(vec![latest]).into_response());
    };
    if latest.state.is_finished() && after >= latest.seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let past = state.resources.store.transitions_of(id, after).await?;
    let follower = Follower::new(state, (Scope::One(id), listener), after.min(latest.seq), place);
    Ok(follower.with_past(past).into_response())
}
