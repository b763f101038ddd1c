use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::EfficiencyMetrics;
use joulemark_measurement::{EnergyMetrics, InferenceMetrics};

/// The measured cycles without what comes before the load is full and after it begins to drain. FLOPs are of whole requests and
/// have no such part; peaks of memory are those of the whole window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SteadyState {
    pub method: SteadyMethod,
    /// Over all cycles; null where one of them has no steady state. Tokens are those that came in it, latencies those of the
    /// requests that were due (without a `load`: sent) in it.
    pub inference: Option<InferenceMetrics>,
    /// Over all cycles, of the meter's readings within it; null where one of them has no steady state.
    pub energy: Option<EnergyMetrics>,
    /// Ratios of these sums; null where one of the cycles has no steady state.
    pub efficiency: Option<EfficiencyMetrics>,
    /// The same for each cycle.
    pub cycles: Vec<SteadyCycle>,
    /// Why there are no figures over all cycles; null where there are.
    pub why_none: Option<String>,
}

/// The steady state of one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SteadyCycle {
    /// From 0.
    pub cycle: u32,
    /// When it began, CLOCK_MONOTONIC seconds.
    pub begin_monotonic_sec: Option<f64>,
    /// When it ended, CLOCK_MONOTONIC seconds.
    pub end_monotonic_sec: Option<f64>,
    /// How much of the cycle it is, from 0 to 1.
    pub share_of_cycle: Option<f64>,
    pub inference: Option<InferenceMetrics>,
    pub energy: Option<EnergyMetrics>,
    pub efficiency: Option<EfficiencyMetrics>,
    /// Why the cycle has none; null where it has one.
    pub why_none: Option<String>,
}

/// How the steady state is found.
///
/// - `full_concurrency`: of a closed load: from when all of its concurrency is in flight in every rank until it no longer is
/// - `mser5`: of a load that comes by itself: from where the mean of end-to-end latencies, in batches of five, is the surest (MSER-5)
///   to the last arrival
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SteadyMethod {
    FullConcurrency,
    Mser5,
}
