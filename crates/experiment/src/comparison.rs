//! What is answered of results that are held against each other. Only words; the arithmetic is `analysis`' business.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Each candidate held against the baseline, metric by metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComparisonAnswer {
    /// Candidate by candidate, each in the order of the metrics.
    pub comparisons: Vec<Comparison>,
    /// What could not be compared, and why.
    pub not_compared: Vec<NotCompared>,
}

/// One metric of one candidate against the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The metric's name, as `GET /v1/metrics` has it.
    #[schema(example = "joules_per_output_token")]
    pub metric: String,
    /// The unit of both means; empty for a share and a ratio of like to like.
    #[schema(example = "J/token")]
    pub unit: String,
    /// The result that is compared with: its id, or its place in the request where it has none.
    pub baseline: String,
    /// The result that is compared.
    pub candidate: String,
    /// Geometric mean of the baseline's cycles, in `unit`.
    pub baseline_mean: f64,
    /// Geometric mean of the candidate's cycles, in `unit`.
    pub candidate_mean: f64,
    /// The candidate's mean over the baseline's: 0.9 is a tenth less.
    pub ratio: f64,
    /// Lower end of the ratio's 95 % interval; null where `notes` say why.
    pub ci_low: Option<f64>,
    /// Upper end of the ratio's 95 % interval.
    pub ci_high: Option<f64>,
    /// How interval and p-value were computed; null without them.
    pub test: Option<ComparisonTest>,
    /// The baseline's cycles.
    pub n_baseline: u32,
    /// The candidate's cycles.
    pub n_candidate: u32,
    /// How often a difference as large would come by chance were there none, two-sided.
    pub p_value: Option<f64>,
    /// The same once all metrics of this candidate are looked at, by Holm.
    pub p_adjusted: Option<f64>,
    /// Null for a metric of which neither less nor more is better.
    pub verdict: Option<Verdict>,
    /// What a careful reader should know.
    pub notes: Vec<String>,
}

/// How a ratio was tested, on the logarithms of the figures.
///
/// - `welch`: Welch's t, for units that were measured independently
/// - `paired_t`: Student's t over pairs, for units that were measured by turns
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonTest {
    Welch,
    PairedT,
}

/// What comes of a comparison.
///
/// - `better`: the candidate differs for the better, and by more than the margin may be
/// - `worse`: it differs for the worse
/// - `equivalent`: it differs by less than the margin, surely
/// - `inconclusive`: neither is sure
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Better,
    Worse,
    Equivalent,
    Inconclusive,
}

/// A metric of a candidate that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotCompared {
    /// The metric's name.
    #[schema(example = "joules_per_output_token")]
    pub metric: String,
    /// The result that was to be compared.
    pub candidate: String,
    /// Why it was not.
    #[schema(
        example = "another source of energy: package by energy_counter in the baseline, by estimate in the candidate"
    )]
    pub reason: String,
}
