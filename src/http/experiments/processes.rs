use axum::{extract::State as AxumState, response::Response};
use futures::TryStreamExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::{ExperimentId, State};
use crate::http::{extract::IdPath, problem::Problem, state::AppState, stream};
use crate::measurement::{ComputeMetrics, EnergyMetrics, InferenceMetrics, RankCycle, RequestMeasurement, Window};

/// The raw results: one item a rank and cycle, with every request and the time of every token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Processes {
    pub id: ExperimentId,
    /// When retention dropped the requests with their tokens; null while they are kept.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub raw_data_dropped_at: Option<jiff::Timestamp>,
    pub items: Vec<Process>,
}

/// The raw result of one rank in one cycle.
#[derive(Debug, Serialize, ToSchema)]
pub struct Process {
    pub rank: u32,
    /// From 0; warm-up is not a cycle.
    pub cycle: u32,
    /// UUIDs of the rank's own GPUs.
    pub gpus: Vec<String>,
    pub window: Window,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    /// Null once retention dropped them.
    pub requests: Option<Vec<RequestMeasurement>>,
}

/// Read a completed experiment's raw results
#[utoipa::path(get, path = "/v1/experiments/{id}/processes", tag = "experiments", operation_id = "getProcesses",
    params(("id" = String, Path, format = "uuid", description = "The experiment's id")),
    responses(
        (status = 200, description = "Raw results by rank and cycle, streamed.", body = Processes),
        (status = 400, description = "The id is not a UUID.", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not completed; `state` says how far it is.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database cannot be reached.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn processes(AxumState(state): AxumState<AppState>, IdPath(id): IdPath) -> Result<Response, Problem> {
    let record = super::find(&state.store, id).await?;
    if record.state != State::Completed {
        return Err(Problem::not_completed(record.state, record.failure));
    }
    let raw_data_dropped_at = state.store.raw_data_dropped_at(id).await?;
    let head = Processes {
        id,
        raw_data_dropped_at,
        items: Vec::new(),
    };
    let of = move |cycle| process(cycle, raw_data_dropped_at.is_none());
    stream::object_with_items(&head, state.store.rank_cycles(id).map_ok(of))
}

fn process(cycle: RankCycle, kept: bool) -> Process {
    Process {
        rank: cycle.rank,
        cycle: cycle.cycle,
        gpus: cycle.gpus,
        window: cycle.window,
        inference: cycle.inference,
        energy: cycle.energy,
        compute: cycle.compute,
        requests: kept.then_some(cycle.requests),
    }
}
