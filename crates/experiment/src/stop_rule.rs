use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::field::{FieldProblem, Fields};
use super::table::{Bounds, Choice, FieldType, Kind, fields, nested};

/// A metric whose mean over cycles decides whether the experiment may end.
///
/// - `output_throughput`: output tokens/s of the whole experiment
/// - `mean_ttft_ms`: mean time to first token
/// - `mean_tpot_ms`: mean time per output token
/// - `mean_e2e_ms`: mean end-to-end latency
/// - `total_energy_j`: energy of a cycle
/// - `joules_per_output_token`: energy per output token
/// - `tokens_per_joule`: tokens per joule
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopMetric {
    OutputThroughput,
    MeanTtftMs,
    MeanTpotMs,
    MeanE2eMs,
    TotalEnergyJ,
    JoulesPerOutputToken,
    TokensPerJoule,
}

impl Choice for StopMetric {}

impl StopMetric {
    /// All metrics that a rule may name.
    pub const ALL: [Self; 7] = [
        Self::OutputThroughput,
        Self::MeanTtftMs,
        Self::MeanTpotMs,
        Self::MeanE2eMs,
        Self::TotalEnergyJ,
        Self::JoulesPerOutputToken,
        Self::TokensPerJoule,
    ];

    /// Returns the metric's name in a result.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutputThroughput => "output_throughput",
            Self::MeanTtftMs => "mean_ttft_ms",
            Self::MeanTpotMs => "mean_tpot_ms",
            Self::MeanE2eMs => "mean_e2e_ms",
            Self::TotalEnergyJ => "total_energy_j",
            Self::JoulesPerOutputToken => "joules_per_output_token",
            Self::TokensPerJoule => "tokens_per_joule",
        }
    }
}

fields! {
    /// End before `num_cycles`, once the confidence interval of a metric's mean over cycles is narrow enough. It is
    /// checked after each cycle.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[schema(example = json!({"metric": "joules_per_output_token", "relative_ci": 0.02, "min_cycles": 5}))]
    pub struct StopRuleRequest;
    /// The condition that ends an experiment before `num_cycles`.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    pub struct StopRule;

    /// The metric that decides. Default `joules_per_output_token`.
    metric: StopMetric =>
        /// The metric that decides.
        StopMetric = StopMetric::JoulesPerOutputToken, "The metric that decides.";

    /// Maximum half-width of the mean's 95 % confidence interval, as a share of the mean, to end the experiment.
    /// Default 0.02.
    relative_ci: f64 [exclusive_minimum = 0, maximum = 1] =>
        /// Maximum half-width of the mean's 95 % confidence interval, as a share of the mean, to end the experiment.
        f64 = 0.02, "Maximum half-width of the interval, as a share of the mean.";

    /// Minimum number of cycles; at most `num_cycles`. Default 5.
    min_cycles: u32 [minimum = 2, maximum = 1000] =>
        /// Minimum number of cycles.
        u32 = 5, "Minimum number of cycles.";
}

impl FieldType for StopRuleRequest {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        nested(fields, name, (Self::NAMES, ""), Self::read_all)
    }
}

impl From<StopRuleRequest> for Option<StopRule> {
    fn from(asked: StopRuleRequest) -> Self {
        Some(asked.filled())
    }
}

impl StopRule {
    /// Returns the problem of `min_cycles` together with `num_cycles`.
    pub(crate) fn problem(&self, num_cycles: u32) -> Option<FieldProblem> {
        (self.min_cycles > num_cycles).then(|| {
            let detail = format!(
                "is {}; accepted is at most num_cycles, which is {num_cycles}: set num_cycles to the maximum number of cycles",
                self.min_cycles
            );
            FieldProblem::new("/stop_rule/min_cycles", detail)
        })
    }
}
