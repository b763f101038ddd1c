//! `POST /v1/experiments/{id}/cancel`.

use axum::{
    Json,
    extract::State as AxumState,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::view::Experiment;
use crate::http::{access::Caller, extract::IdPath, problem::Problem, repeatable_query::NoQuery, state::AppState};
use crate::scheduler::CancelAnswer;
use joulemark_experiment::access::{Action, AuditEntry};
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock;

/// Cancel an experiment
///
/// A queued experiment never starts; a running one stops within two seconds and frees its devices. Cancelling it again
/// has no effect. Submitters may cancel their own experiments, admins all.
#[utoipa::path(post, path = "/v1/experiments/{id}/cancel", tag = "experiments", operation_id = "cancelExperiment",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "The experiment is cancelled.", body = Experiment),
        (status = 202, description = "The request to cancel is stored; the node that runs the experiment has not stopped it yet.", body = Experiment),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has completed or failed already.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn cancel(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
) -> Result<Response, Problem> {
    let answer = cancelled(&state, id, &caller).await?;
    let shown = async || {
        super::find(&state.resources.store, id)
            .await
            .map(|record| Json(Experiment::new(record, None, &caller)))
    };
    match answer {
        Cancellation::Done => Ok(shown().await?.into_response()),
        Cancellation::Stored => Ok((StatusCode::ACCEPTED, shown().await?).into_response()),
    }
}

/// Outcome of a request to cancel an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    Done,
    /// The node that runs it has not stopped it yet.
    Stored,
}

/// Cancels an experiment for a caller, and records it in the audit log.
///
/// # Errors
/// Returns a [`Problem`] if the experiment does not exist, has another submitter, or has completed or failed already,
/// and if the database fails.
pub async fn cancelled(state: &AppState, id: ExperimentId, caller: &Caller) -> Result<Cancellation, Problem> {
    let record = super::find(&state.resources.store, id).await?;
    if !caller.may_change(record.submitter.as_deref()) {
        return Err(Problem::not_yours());
    }
    if !record.state.is_finished() {
        let entry = AuditEntry::new(Action::Cancel, id, &caller.actor(), clock::wall_now());
        state.resources.store.note(&entry).await?;
    }
    match state.scheduler.cancel(id).await? {
        CancelAnswer::Cancelled | CancelAnswer::AlreadyFinished(State::Cancelled) => Ok(Cancellation::Done),
        CancelAnswer::Pending => Ok(Cancellation::Stored),
        CancelAnswer::AlreadyFinished(finished) => Err(Problem::already_finished(finished)),
        CancelAnswer::NotFound => Err(Problem::no_experiment(id)),
    }
}
