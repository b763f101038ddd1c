//! `GET /v1/experiments/{id}/processes`.

use axum::{extract::State as AxumState, response::Response};
use futures::TryStreamExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{hides_texts, shown_failure, without_token_ids};
use crate::http::{access::Caller, extract::IdPath, problem::Problem, repeatable_query::NoQuery};
use crate::http::{state::AppState, stream};
use joulemark_analysis::complete_rank_cycle;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::{
    ComputeMetrics, EnergyMetrics, FailedRequest, InferenceMetrics, LoadGenerator, RankCycle, RequestMeasurement,
    ServerReport, Window,
};

/// The raw results: one item per rank and cycle, with every request and the time of every token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Processes {
    pub id: ExperimentId,
    /// True if the experiment was cancelled; the items then cover the cycles that were finished.
    pub partial: bool,
    /// Time at which retention deleted the requests and tokens; null while they exist.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub raw_data_dropped_at: Option<jiff::Timestamp>,
    /// True if `output_token_ids` are omitted because the caller may not read the prompts.
    pub token_ids_withheld: bool,
    /// The items, by cycle and rank.
    pub items: Vec<Process>,
}

/// The raw result of one rank in one cycle.
#[derive(Debug, Serialize, ToSchema)]
pub struct Process {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// Number of the cycle, from 0; the warm-up is not a cycle.
    pub cycle: u32,
    /// UUIDs of the GPUs of this rank.
    pub gpus: Vec<String>,
    pub window: Window,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    /// The requests; null if retention has deleted them.
    pub requests: Option<Vec<RequestMeasurement>>,
    /// Requests to a server that have no valid answer.
    pub failed_requests: Vec<FailedRequest>,
    /// The process that sent the requests to a server; null for other engines.
    pub load_generator: Option<LoadGenerator>,
    /// The server's own metrics during the cycle; null for other engines.
    pub server_report: Option<ServerReport>,
}

/// Read a completed experiment's raw results
///
/// For a cancelled experiment it returns the cycles that were finished, marked `partial`.
#[utoipa::path(get, path = "/v1/experiments/{id}/processes", tag = "experiments", operation_id = "getProcesses",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "Raw results by rank and cycle, streamed.", body = Processes),
        (status = 400, description = "The id is not a UUID, or there is a query parameter.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has no results; `state` is its present state.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn processes(
    AxumState(state): AxumState<AppState>,
    IdPath(id): IdPath,
    _: NoQuery,
    caller: Caller,
) -> Result<Response, Problem> {
    let record = super::find(&state.resources.store, id).await?;
    if record.state != State::Completed && !state.resources.store.has_results(id).await? {
        return Err(Problem::not_completed(record.state, shown_failure(&record, &caller)));
    }
    let raw_data_dropped_at = state.resources.store.raw_data_dropped_at(id).await?;
    let token_ids_withheld = hides_texts(&record.spec, record.submitter.as_deref(), &caller);
    let head = Processes {
        id,
        partial: record.state == State::Cancelled,
        raw_data_dropped_at,
        token_ids_withheld,
        items: Vec::new(),
    };
    let of = move |cycle| process(cycle, raw_data_dropped_at.is_none(), token_ids_withheld);
    stream::object_with_items(&head, state.resources.store.rank_cycles(id).map_ok(of))
}

/// Returns the raw result of a rank in a cycle; without requests if they were deleted, without token ids if they are
/// withheld.
fn process(mut cycle: RankCycle, kept: bool, token_ids_withheld: bool) -> Process {
    complete_rank_cycle(&mut cycle);
    let shown = match token_ids_withheld {
        true => without_token_ids(cycle.requests),
        false => cycle.requests,
    };
    Process {
        rank: cycle.rank,
        cycle: cycle.cycle,
        gpus: cycle.gpus,
        window: cycle.window,
        inference: cycle.inference,
        energy: cycle.energy,
        compute: cycle.compute,
        requests: kept.then_some(shown),
        failed_requests: cycle.failed_requests,
        load_generator: cycle.load_generator,
        server_report: cycle.server_report,
    }
}
