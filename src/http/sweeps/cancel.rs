//! `POST /v1/sweeps/{id}/cancel`.

use axum::{
    Json,
    extract::State as AxumState,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::view::{Sweep, SweepState};
use crate::http::{access::Caller, extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::scheduler::CancelAnswer;
use joulemark_experiment::State;
use joulemark_experiment::access::{Action, AuditEntry};
use joulemark_measurement::clock;

/// Number of experiments that are cancelled concurrently.
const AT_ONCE: usize = 16;

/// Cancel a sweep
///
/// Cancels all queued and running experiments of the sweep, and ends its search; completed experiments keep their
/// results. Cancelling it again has no effect. Submitters may cancel their own sweeps, admins all.
#[utoipa::path(post, path = "/v1/sweeps/{id}/cancel", tag = "sweeps", operation_id = "cancelSweep",
    params(("id" = String, Path, format = "uuid", description = "The sweep's id")),
    responses(
        (status = 200, description = "None of its experiments is queued or running any more.", body = Sweep),
        (status = 202, description = "The request to cancel is stored; a node has not stopped one of its experiments yet.", body = Sweep),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such sweep.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is finished already.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn cancel(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
) -> Result<Response, Problem> {
    let record = super::find(&state, id).await?;
    if !caller.may_change(record.submitter.as_deref()) {
        return Err(Problem::not_yours());
    }
    let store = &state.resources.store;
    let before = Sweep::new(&state, record, store.sweep_runs(id).await?).await;
    match before.summary.state {
        SweepState::Finished => return Err(Problem::already_finished(State::Completed)),
        SweepState::Cancelled => return Ok(Json(before).into_response()),
        SweepState::Running => {}
    }
    let now = clock::wall_now();
    // Before the experiments, since the search would queue others in their place.
    store.close_sweep(id, now).await?;
    let mut unfinished: Vec<_> = store.sweep_runs(id).await?;
    unfinished.retain(|run| !run.state.is_finished());
    unfinished.sort_by_key(|run| run.experiment);
    unfinished.dedup_by_key(|run| run.experiment);
    // Queued experiments first, since they would start when running ones free their devices.
    unfinished.sort_by_key(|run| run.state != State::Queued);
    let each = stream::iter(unfinished).map(|run| {
        let (state, entry) = (
            &state,
            AuditEntry::new(Action::Cancel, run.experiment, &caller.actor(), now),
        );
        async move {
            state.resources.store.note(&entry).await?;
            let answer = state.scheduler.cancel(run.experiment).await?;
            Ok::<_, Problem>(answer == CancelAnswer::Pending)
        }
    });
    let pending: Vec<bool> = each.buffered(AT_ONCE).try_collect().await?;
    let shown = Sweep::new(&state, super::find(&state, id).await?, store.sweep_runs(id).await?).await;
    Ok(match pending.contains(&true) {
        true => (StatusCode::ACCEPTED, Json(shown)).into_response(),
        false => Json(shown).into_response(),
    })
}
