use serde::Serialize;
use utoipa::ToSchema;

/// The basis of a duration estimate.
///
/// - `past_runs`: completed runs of the same model, device type, engine and lengths, scaled in proportion to the tokens
/// - `warm_up`: the tokens per second of this run's warm-up
/// - `measured_cycles`: the tokens per second of this run's cycles so far
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DurationMethod {
    PastRuns,
    WarmUp,
    MeasuredCycles,
}

/// An estimate of how long an experiment runs from its start to its end; time in the queue is not included.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DurationEstimate {
    /// Estimated seconds; null where nothing is known to estimate from.
    #[schema(example = 74.0)]
    pub duration_sec: Option<f64>,
    /// Lower end of the expected range, in seconds.
    #[schema(example = 66.6)]
    pub least_sec: Option<f64>,
    /// Upper end of the expected range, in seconds. From past runs, the range is theirs, widened by 10 %, by 25 % where
    /// there are two and by 50 % where there is one. From this run, it is a rule of thumb.
    #[schema(example = 81.4)]
    pub most_sec: Option<f64>,
    /// What the estimate is based on; null where there is none.
    pub method: Option<DurationMethod>,
    /// Number of past runs that the estimate is based on; 0 for the other methods.
    pub runs: u32,
    /// Why there is no estimate; null where there is one.
    pub reason: Option<String>,
}

impl DurationEstimate {
    /// Returns an answer without an estimate, with the reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self {
            duration_sec: None,
            least_sec: None,
            most_sec: None,
            method: None,
            runs: 0,
            reason: Some(reason.into()),
        }
    }
}
