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

/// Experiments that are ended at once.
const AT_ONCE: usize = 16;

/// Cancel a sweep
///
/// Cancels all of its experiments that wait or run, and ends its search; what is completed stays. Cancelling twice is fine.
/// One's own, or for an admin anybody's.
#[utoipa::path(post, path = "/v1/sweeps/{id}/cancel", tag = "sweeps", operation_id = "cancelSweep",
    params(("id" = String, Path, format = "uuid", description = "The sweep's id")),
    responses(
        (status = 200, description = "Nothing of it waits or runs any more.", body = Sweep),
        (status = 202, description = "The wish is stored; a node that runs one of its experiments has not answered yet.", body = Sweep),
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
    // Before the experiments: the search would queue others in place of those that are cancelled.
    store.close_sweep(id, now).await?;
    let mut unfinished: Vec<_> = store.sweep_runs(id).await?;
    unfinished.retain(|run| !run.state.is_finished());
    unfinished.sort_by_key(|run| run.experiment);
    unfinished.dedup_by_key(|run| run.experiment);
    // What waits first: it would start where what runs gives way.
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
