use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::EfficiencyMetrics;
use joulemark_measurement::{EnergyMetrics, InferenceMetrics};

/// The steady state of the measured cycles: without the ramp-up at their beginning and the drain at their end. FLOPs
/// are counted for whole requests and have no such part; memory peaks are those of the whole window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SteadyState {
    pub method: SteadyMethod,
    /// Over all cycles; null where one of them has no steady state. Tokens are those that were generated in it,
    /// latencies those of requests that were due in it (without a `load`: sent in it).
    pub inference: Option<InferenceMetrics>,
    /// Over all cycles, from the meter's readings within the steady state; null where a cycle has none.
    pub energy: Option<EnergyMetrics>,
    /// Ratios of these sums; null where a cycle has no steady state.
    pub efficiency: Option<EfficiencyMetrics>,
    /// The same for each cycle.
    pub cycles: Vec<SteadyCycle>,
    /// Why there are no figures over all cycles; null where there are.
    pub why_none: Option<String>,
}

/// The steady state of one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SteadyCycle {
    /// Number of the cycle, from 0.
    pub cycle: u32,
    /// Begin of the steady state, CLOCK_MONOTONIC seconds.
    pub begin_monotonic_sec: Option<f64>,
    /// End of the steady state, CLOCK_MONOTONIC seconds.
    pub end_monotonic_sec: Option<f64>,
    /// Its share of the cycle, from 0 to 1.
    pub share_of_cycle: Option<f64>,
    pub inference: Option<InferenceMetrics>,
    pub energy: Option<EnergyMetrics>,
    pub efficiency: Option<EfficiencyMetrics>,
    /// Why the cycle has no steady state; null where it has one.
    pub why_none: Option<String>,
}

/// The method that determines the steady state.
///
/// - `full_concurrency`: for a closed load: from when all of its concurrency is in flight in every rank until it no
///   longer is
/// - `mser5`: for other loads: from where the mean of the end-to-end latencies, in batches of five, has the smallest
///   standard error (MSER-5) to the last arrival
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SteadyMethod {
    FullConcurrency,
    Mser5,
}
