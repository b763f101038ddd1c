use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The load that was offered to the engine in the measured cycles, and whether the engine kept up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OfferedReport {
    pub kind: LoadKind,
    /// Number of requests in flight of a closed load, over all ranks; null for other loads.
    pub concurrency: Option<u32>,
    /// Number of requests that were sent, over all ranks and cycles, including failed ones.
    pub requests: u64,
    /// Arrival rate: all requests over the time in which they arrived, from the beginning of a cycle to its
    /// `duration_sec`, or else to its last request. Null for a closed load, whose rate is the engine's.
    pub offered_per_sec: Option<f64>,
    /// Answered requests per second of the measured time, which includes the wait for the last answers.
    pub achieved_per_sec: Option<f64>,
    /// Number of requests that met all objectives of `slo`; null without `slo`, and where a time that it needs is
    /// unknown.
    pub good_requests: Option<u64>,
    /// Goodput: `good_requests` per second of the measured time.
    pub goodput: Option<f64>,
    /// Whether a rank had more requests in a cycle than prompts and sent the same prompts again.
    pub prompts_repeated: bool,
    /// Delay with which requests were sent, in milliseconds: an error of the measurement. Null without a `load`.
    pub sender_lag_ms: Option<TimeSpread>,
    /// Time that requests waited for the engine in the worker, in milliseconds, without `sender_lag_ms`. Null without a
    /// `load`, and for a server, which queues requests itself.
    pub queueing_ms: Option<TimeSpread>,
    /// Time that the engine took for a request, in milliseconds, from handing it over to the complete answer. A
    /// server's own queueing is included. Null where no request was answered.
    pub service_ms: Option<TimeSpread>,
    /// Whether requests arrived faster than they were answered: in most cycles the backlog grew throughout, so that
    /// latencies depend on the length of the experiment rather than on the engine. Null for a closed load, and with
    /// fewer than 20 requests in a cycle.
    pub saturated: Option<bool>,
}

/// Kind of a load.
///
/// - `closed`: each answer is followed by the next request
/// - `open`: requests arrive at a rate
/// - `replay`: requests arrive at the times of a recorded file
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    Closed,
    Open,
    Replay,
}

/// Statistics of a time over requests, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimeSpread {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Maximum.
    pub max: f64,
}
