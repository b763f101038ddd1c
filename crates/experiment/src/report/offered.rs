use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was offered to the engine in the measured cycles, and whether it kept up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OfferedReport {
    pub kind: LoadKind,
    /// Requests in flight of a closed load, over all ranks; null for the others.
    pub concurrency: Option<u32>,
    /// Requests that were sent, over all ranks and cycles; those that failed are among them.
    pub requests: u64,
    /// Requests a second that came: all of them over the time in which they came, from a cycle's beginning to its `duration_sec`, or
    /// else to its last request. Null for a closed load, which offers what is taken.
    pub offered_per_sec: Option<f64>,
    /// Requests a second that were answered, over the measured time, in which the last answers are waited for.
    pub achieved_per_sec: Option<f64>,
    /// Requests that were answered as well as `slo` asks; null without one, and where a time that it asks for is not known.
    pub good_requests: Option<u64>,
    /// `good_requests` a second of the measured time: goodput.
    pub goodput: Option<f64>,
    /// Whether a rank had more requests in a cycle than prompts, and took the same again.
    pub prompts_repeated: bool,
    /// How late requests were sent, milliseconds: a fault of the measurement. Null without a `load`.
    pub sender_lag_ms: Option<TimeSpread>,
    /// How long requests waited in the worker for the engine, milliseconds, the sender's lag left out. Null without a `load`, and
    /// for a server, which lets them wait by itself.
    pub queueing_ms: Option<TimeSpread>,
    /// How long the engine took for a request, milliseconds: from handing over to the complete answer. A server's own queueing is
    /// in it. Null where nothing was answered.
    pub service_ms: Option<TimeSpread>,
    /// Whether requests came faster than they were answered: in most cycles the backlog grew throughout, so that latencies say how
    /// long the experiment was and not how good the engine is. Null for a closed load, and below 20 requests a cycle.
    pub saturated: Option<bool>,
}

/// What a load is.
///
/// - `closed`: each answer is followed by the next request
/// - `open`: requests come at a rate
/// - `replay`: requests come when those of a file came
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    Closed,
    Open,
    Replay,
}

/// A time over requests, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimeSpread {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Longest.
    pub max: f64,
}
