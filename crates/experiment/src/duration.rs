use serde::Serialize;
use utoipa::ToSchema;

/// What an estimate of a duration rests on.
///
/// - `past_runs`: completed runs of the same model, device kind, engine and lengths, scaled in proportion to the tokens
/// - `warm_up`: the tokens a second of this run's warm-up
/// - `measured_cycles`: the tokens a second of this run's cycles so far
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DurationMethod {
    PastRuns,
    WarmUp,
    MeasuredCycles,
}

/// How long an experiment will take from its start to its end, time in the queue left out. An estimate, never a promise.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DurationEstimate {
    /// Estimated seconds; null where there is nothing to estimate them by.
    #[schema(example = 74.0)]
    pub duration_sec: Option<f64>,
    /// The lower end of the range that is to be expected, in seconds.
    #[schema(example = 66.6)]
    pub least_sec: Option<f64>,
    /// The upper end of the range that is to be expected, in seconds. From past runs the range is theirs, widened by 10 %,
    /// by 25 % where there are two and by 50 % where there is one; from this run it is a rule of thumb.
    #[schema(example = 81.4)]
    pub most_sec: Option<f64>,
    /// What it rests on; null where there is none.
    pub method: Option<DurationMethod>,
    /// How many past runs it is made from; 0 for any other method.
    pub runs: u32,
    /// Why there is no estimate; null where there is one.
    pub reason: Option<String>,
}

impl DurationEstimate {
    /// Returns no estimate, and why there is none.
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
