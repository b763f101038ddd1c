//! The answer of a comparison of results. The arithmetic is in the package `joulemark-analysis`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Each candidate compared with the baseline, metric by metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComparisonAnswer {
    /// The comparisons, candidate by candidate, each in the order of the metrics.
    pub comparisons: Vec<Comparison>,
    /// What could not be compared, and why.
    pub not_compared: Vec<NotCompared>,
}

/// One metric of one candidate compared with the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The metric's name, as in `GET /v1/metrics`.
    #[schema(example = "joules_per_output_token")]
    pub metric: String,
    /// Unit of both means; empty for shares and for ratios of figures in the same unit.
    #[schema(example = "J/token")]
    pub unit: String,
    /// The baseline: its id, or its position in the request where it has no id.
    pub baseline: String,
    /// The candidate: its id, or its position in the request where it has no id.
    pub candidate: String,
    /// Geometric mean of the baseline's cycles, in `unit`.
    pub baseline_mean: f64,
    /// Geometric mean of the candidate's cycles, in `unit`.
    pub candidate_mean: f64,
    /// The candidate's mean over the baseline's: 0.9 is a tenth less.
    pub ratio: f64,
    /// Lower end of the ratio's 95 % confidence interval; null where `notes` explain why.
    pub ci_low: Option<f64>,
    /// Upper end of the ratio's 95 % confidence interval.
    pub ci_high: Option<f64>,
    /// How the interval and the p-value were computed; null without them.
    pub test: Option<ComparisonTest>,
    /// Number of the baseline's cycles.
    pub n_baseline: u32,
    /// Number of the candidate's cycles.
    pub n_candidate: u32,
    /// Two-sided p-value: the probability of a difference at least as large if there were none.
    pub p_value: Option<f64>,
    /// The p-value adjusted for all metrics of this candidate by Holm's method.
    pub p_adjusted: Option<f64>,
    /// Null for a metric of which neither more nor less is better.
    pub verdict: Option<Verdict>,
    /// What to know when citing the comparison.
    pub notes: Vec<String>,
}

/// The statistical test of a ratio, on logarithms of the figures.
///
/// - `welch`: Welch's t-test, for units that were measured independently
/// - `paired_t`: Student's t-test over pairs, for units that were measured alternately
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonTest {
    Welch,
    PairedT,
}

/// Verdict of a comparison.
///
/// - `better`: the difference is significant, for the better, and not `equivalent`
/// - `worse`: the difference is significant, for the worse, and not `equivalent`
/// - `equivalent`: the ratio lies within the margin, by two one-sided tests
/// - `inconclusive`: the difference is neither significant nor equivalent
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
    /// Why it could not be compared.
    #[schema(
        example = "another source of energy: package by energy_counter in the baseline, by estimate in the candidate"
    )]
    pub reason: String,
}
