//! The report of a finished experiment, as it is stored and served: aggregate, efficiency ratios, checks. The
//! arithmetic is in the package `joulemark-analysis`.

mod conditions;
mod footprint;
mod offered;
mod outputs;
mod readings;
mod repetition;
mod steady;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Warning;
use crate::stop_rule::StopMetric;
use joulemark_measurement::{
    BatchCheck, BatchSteps, ComputeMetrics, EnergyMetrics, InferenceMetrics, LoadReport, Machine, WarmUpReport,
};

pub use conditions::{EngineBuild, GpuConditions, RaplLimit, RunConditions};
pub use footprint::{Footprint, GivenNumber, Giver, Tariff};
pub use offered::{LoadKind, OfferedReport, TimeSpread};
pub use outputs::{OutputsDigest, OutputsKind};
pub use readings::{CycleHost, IdleState, Readings};
pub use repetition::{DisturbedCycle, RepetitionLevel, RepetitionReport};
pub use steady::{SteadyCycle, SteadyMethod, SteadyState};

/// Ratios of sums over ranks and measured cycles. A ratio is null where a part is unknown or the divisor is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EfficiencyMetrics {
    // The table of metrics (`crates/analysis/src/metrics`) describes each of them.
    pub tokens_per_joule: Option<f64>,
    pub joules_per_token: Option<f64>,
    pub joules_per_output_token: Option<f64>,
    pub joules_per_input_token: Option<f64>,
    pub effective_throughput: Option<f64>,
    pub flop_per_joule: Option<f64>,
    pub flop_per_token: Option<f64>,
    pub watts_per_token_per_second: Option<f64>,
    #[serde(default)]
    pub joules_per_response: Option<f64>,
    #[serde(default)]
    pub wh_per_1000_requests: Option<f64>,
}

/// Outcome of a check.
///
/// - `passed`: the condition holds
/// - `failed`: it does not; a warning explains it
/// - `not_applicable`: the check has no meaning here, such as the overlap of a single rank
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    Passed,
    Failed,
    NotApplicable,
}

/// The checks before aggregation, and the warnings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Passed when in every cycle the intersection of all ranks' windows is at least half of the shortest window.
    pub temporal_overlap: CheckOutcome,
    /// Smallest intersection of the ranks' windows as a share of the shortest window, over all cycles; null for one
    /// rank.
    pub overlap_ratio: Option<f64>,
    /// Passed when each GPU belongs to only one rank.
    pub gpu_attribution: CheckOutcome,
    /// Longest window of a rank over the shortest one of the same cycle, the largest ratio of all cycles; null for one
    /// rank.
    pub imbalance_ratio: Option<f64>,
    /// What to know when citing the result.
    pub warnings: Vec<Warning>,
}

/// The figures of the aggregate, for one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CycleReport {
    /// Number of the cycle, from 0; warm-up is not a cycle.
    pub cycle: u32,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub efficiency: EfficiencyMetrics,
}

/// Sample standard deviation over cycles of the figures of the same names, each in its own unit: how much the figures
/// of cycles differ. It is not an uncertainty. Null with fewer than two cycles, and where the figure of a cycle is
/// null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CycleSpread {
    /// Of `inference.output_throughput`, tokens/s.
    pub output_throughput: Option<f64>,
    /// Of `inference.tokens_per_second`, tokens/s.
    pub tokens_per_second: Option<f64>,
    /// Of `inference.mean_ttft_ms`, milliseconds.
    pub mean_ttft_ms: Option<f64>,
    /// Of `inference.mean_tpot_ms`, milliseconds.
    pub mean_tpot_ms: Option<f64>,
    /// Of `energy.total_energy_j`, joules a cycle.
    pub total_energy_j: Option<f64>,
    /// Of `efficiency.joules_per_output_token`, J/token.
    pub joules_per_output_token: Option<f64>,
}

/// The parts of the experiment's wall time, in seconds; with several ranks, that of the slowest one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timing {
    /// From the claim until the first rank begins to load the model.
    pub claim_to_load_start_sec: Option<f64>,
    /// Time for loading the model.
    pub load_sec: f64,
    /// Time for the warm-up iterations.
    pub warm_up_sec: f64,
    /// Time for which the workers idled with the model in memory, for the loaded baseline.
    #[serde(default)]
    pub idle_baseline_sec: f64,
    /// Time for which the workers idled between cycles.
    #[serde(default)]
    pub cooldown_sec: f64,
    /// Sum over cycles of the union of the ranks' windows.
    pub measuring_sec: f64,
    /// From the claim until the result is computed.
    pub total_sec: f64,
    /// Share of `total_sec` that is none of load, warm-up, idle baseline, cool-down and measuring: the service's own
    /// cost.
    pub overhead_share: Option<f64>,
}

/// Statistics of one metric over the measured cycles, in the metric's own unit. Intervals are 95 % confidence
/// intervals. A figure that needs more cycles than there are is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricStatistics {
    /// Number of cycles.
    pub n: u32,
    /// Mean over cycles, each with equal weight. It may differ from the metric itself, which is computed over all
    /// cycles together: a ratio of sums is not the mean of the ratios.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); needs two cycles.
    pub standard_deviation: Option<f64>,
    /// Coefficient of variation: the standard deviation over the absolute value of the mean.
    pub cv: Option<f64>,
    /// Smallest figure of a cycle.
    pub min: f64,
    /// Median over cycles.
    pub median: f64,
    /// Largest figure of a cycle.
    pub max: f64,
    /// Lower end of the mean's confidence interval, from random scatter alone: such intervals contain the true mean in
    /// 95 of 100 experiments.
    pub ci_low: Option<f64>,
    /// Upper end of the mean's confidence interval.
    pub ci_high: Option<f64>,
    /// How the mean's interval was computed; null without one.
    pub ci_method: Option<CiMethod>,
    /// Lower end of the median's confidence interval, from order statistics; needs six cycles.
    pub median_ci_low: Option<f64>,
    /// Upper end of the median's confidence interval.
    pub median_ci_high: Option<f64>,
    /// Autocorrelation of each cycle with the next one; needs four cycles. Above 0 the mean's interval is too narrow.
    pub lag1_autocorrelation: Option<f64>,
    /// Number of independent cycles that would determine the mean equally well.
    pub effective_n: Option<f64>,
    /// Cycles that are outliers: more than 3.5 robust standard deviations from the median; needs five cycles. They are
    /// included in every figure.
    pub outliers: Vec<u32>,
    /// Half-width of the energy meter's uncertainty, which all cycles share. Null where it is unknown, and for metrics
    /// without energy.
    pub instrument_uncertainty: Option<f64>,
    /// Lower end of the mean's interval and the instrument's half-width combined: the root of the sum of their squares
    /// on each side.
    pub combined_low: Option<f64>,
    /// Upper end of both combined.
    pub combined_high: Option<f64>,
    /// For a ratio of two figures that add up over cycles: the ratio of their sums, as the metric itself is computed.
    /// Null for others.
    #[serde(default)]
    pub ratio_of_sums: Option<f64>,
    /// Lower end of the ratio's interval, by the bootstrap of whole cycles; needs 20 cycles. The mean's interval is
    /// that of the cycles' own ratios.
    #[serde(default)]
    pub ratio_ci_low: Option<f64>,
    /// Upper end of the ratio's interval.
    #[serde(default)]
    pub ratio_ci_high: Option<f64>,
    /// How the ratio's interval was computed; null without one.
    #[serde(default)]
    pub ratio_ci_method: Option<CiMethod>,
}

/// The method with which the interval of a mean was computed.
///
/// - `student_t`: Student's t, below 20 cycles
/// - `bca_bootstrap`: bias-corrected and accelerated bootstrap with 2,000 seeded resamples, from 20 cycles
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiMethod {
    StudentT,
    BcaBootstrap,
}

/// Minimum, median and maximum of a GPU's readings during the measured cycles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadingRange {
    /// Smallest reading, in the unit of the field that has the range.
    pub min: f64,
    /// Median reading.
    pub median: f64,
    /// Largest reading.
    pub max: f64,
}

/// The power limit of a leased GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuPowerLimit {
    /// UUID of the GPU.
    pub gpu: String,
    /// Limit that was asked for, in watts; null where it was not to be changed.
    pub asked_w: Option<f64>,
    /// Limit before it was changed, in watts; null where it was not changed or is unknown.
    pub before_w: Option<f64>,
    /// Limit in force during the measured cycles, the lowest of all that apply, in watts, as NVML reported it about
    /// once a second; null where it is not reported.
    pub in_force_w: Option<ReadingRange>,
}

/// The clocks of a leased GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuClocks {
    /// UUID of the GPU.
    pub gpu: String,
    /// Clock in MHz at which the streaming multiprocessors were to be locked; null where the GPU chose.
    pub asked_gpu_clock_mhz: Option<u32>,
    /// Clock in MHz at which the memory was to be locked; null where the GPU chose.
    pub asked_memory_clock_mhz: Option<u32>,
    /// Actual clock of the streaming multiprocessors during the measured cycles, in MHz; null where it is not reported.
    pub sm_clock_mhz: Option<ReadingRange>,
    /// Actual clock of the memory during the measured cycles, in MHz; null where it is not reported.
    pub memory_clock_mhz: Option<ReadingRange>,
}

/// The wait of a cycle for its GPUs to cool or to become stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CycleStart {
    /// Number of the cycle, from 0.
    pub cycle: u32,
    /// Seconds that the cycle waited.
    pub waited_sec: f64,
    /// Temperature of the warmest GPU at the end of the wait, in degrees Celsius; null where a GPU does not report it.
    pub temperature_c: Option<u32>,
    /// Whether all GPUs were below `start_below_temperature_c`. If not, the cycle began after `max_cooling_sec`, or at
    /// once where a GPU reports no temperature. True where no bound was given.
    pub is_below: bool,
    /// Whether power and temperature of all GPUs were stable. If not, the cycle began after `settle.max_sec`. Null
    /// without `settle`, and where a GPU does not report them.
    #[serde(default)]
    pub is_steady: Option<bool>,
}

/// The end of an experiment by its stop rule. A rule that is checked after each cycle ends more often where the
/// interval is narrow by chance: its 95 % interval contained the true mean in 92 to 95 % of simulated experiments
/// (docs/methodology.md).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StopReport {
    pub metric: StopMetric,
    /// Maximum half-width of the mean's interval, as a share of the mean, to end the experiment.
    pub relative_ci: f64,
    /// Half-width that was reached, as a share of the mean; null where the metric is unknown.
    pub reached: Option<f64>,
    /// Number of cycles that were measured.
    pub cycles: u32,
    /// Whether the half-width was small enough; if not, all of `num_cycles` were measured.
    pub sure_enough: bool,
}

/// A percentile of a latency over requests, in milliseconds, with its 95 % confidence interval from order statistics.
/// The interval holds for any distribution of independent requests. Requests of one batch share their steps and are not
/// independent: for their time per token, a batch counts as one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequestPercentile {
    /// The percentage, from 0 to 100.
    pub percentile: f64,
    /// Number of requests whose latency is known.
    pub requests: u32,
    /// The percentile, in milliseconds.
    pub value: f64,
    /// Lower end of its interval, in milliseconds; null where there are too few requests.
    pub ci_low: Option<f64>,
    /// Upper end of its interval, in milliseconds; null where there are too few requests. `note` states how many are
    /// needed.
    pub ci_high: Option<f64>,
    /// One-sided 95 % upper bound of the percentile, in milliseconds; needs fewer requests than `ci_high`.
    pub upper_bound: Option<f64>,
    /// Why an end of the interval is null.
    pub note: Option<String>,
}

/// Aggregate and efficiency of a completed experiment. Tokens, energy and FLOPs are sums over ranks and measured
/// cycles; `duration_sec` is the sum over cycles of the union of the ranks' windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub efficiency: EfficiencyMetrics,
    pub validation: Validation,
    /// The same figures for each cycle.
    pub cycles: Vec<CycleReport>,
    /// Standard deviations over the cycles.
    #[serde(default)]
    pub cycle_sd: CycleSpread,
    pub machine: Machine,
    /// How each rank's model was loaded.
    pub loads: Vec<LoadReport>,
    pub model: ModelFacts,
    pub timing: Timing,
    /// Whether the sequences of a batch came out as each does alone: the check of the rank that came nearest to its
    /// bound. Null for `batch_size` 1, and for a server.
    #[serde(default)]
    pub batch_check: Option<BatchCheck>,
    /// Number of decoding steps by the number of sequences that they gave a token to, over ranks and measured cycles,
    /// most sequences first. Null for `batch_size` 1, and for a server.
    #[serde(default)]
    pub batch_steps: Option<Vec<BatchSteps>>,
    /// The load, and whether the engine kept up; null in results of earlier versions.
    #[serde(default)]
    pub load_report: Option<OfferedReport>,
    /// The steady state of the cycles, without ramp-up and drain; null in results of earlier versions.
    #[serde(default)]
    pub steady_state: Option<Box<SteadyState>>,
    /// What was repeated for the statistics, and which cycles were disturbed; null in results of earlier versions.
    #[serde(default)]
    pub repetition: Option<RepetitionReport>,
    /// How the stop rule ended the experiment; null without one.
    #[serde(default)]
    pub stop: Option<StopReport>,
    /// State of the GPUs when each cycle began; empty without `start_below_temperature_c` and `settle`.
    #[serde(default)]
    pub cycle_starts: Vec<CycleStart>,
    /// Power limit in watts that was in force on all leased GPUs throughout the measured cycles; null where the limits
    /// differ by more than 1 W, where no GPU is leased, or where one does not report its limit.
    #[serde(default)]
    pub power_limit_w: Option<f64>,
    /// Power limit of each leased GPU, asked for and in force; empty in results of earlier versions.
    #[serde(default)]
    pub power_limits: Vec<GpuPowerLimit>,
    /// Clocks of each leased GPU, asked for and actual; empty in results of earlier versions.
    #[serde(default)]
    pub clocks: Vec<GpuClocks>,
    /// How each rank was warmed up; empty in results of earlier versions.
    #[serde(default)]
    pub warm_ups: Vec<WarmUpReport>,
    /// Statistics of each metric over the measured cycles, by its name; metrics that are null in a cycle, or not
    /// numbers, are left out.
    #[serde(default)]
    pub statistics: BTreeMap<String, MetricStatistics>,
    /// Percentiles of latencies over the requests of all ranks and cycles, by the metric's name; empty in results of
    /// earlier versions.
    #[serde(default)]
    pub request_percentiles: BTreeMap<String, RequestPercentile>,
    /// Digest of all answers; null where an answer's tokens and text are both unknown, where the answers belong to
    /// another user, and in results of earlier versions.
    #[serde(default)]
    pub outputs: Option<OutputsDigest>,
    /// Cost and emissions, from figures that the admin or the submitter gave; null where none was given.
    #[serde(default)]
    pub footprint: Option<Box<Footprint>>,
    /// The build and the host's settings; null in results of earlier versions.
    #[serde(default)]
    pub conditions: Option<Box<RunConditions>>,
    /// What the report is computed from besides the requests; `None` in results of earlier versions, and in what is
    /// served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub readings: Option<Box<Readings>>,
}

impl Report {
    /// Returns the cycles that statistics are computed over.
    pub fn cycles_of_statistics(&self) -> Vec<CycleReport> {
        let left_out = self
            .repetition
            .as_ref()
            .map(|repetition| &repetition.left_out_of_statistics);
        let is_in = |cycle: &&CycleReport| !left_out.is_some_and(|left_out| left_out.contains(&cycle.cycle));
        self.cycles.iter().filter(is_in).cloned().collect()
    }
}

/// The model that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFacts {
    /// `gguf` or `safetensors`; null for the synthetic engine.
    pub format: Option<String>,
    /// Architecture as the files name it, such as `llama`.
    pub architecture: Option<String>,
    /// Number of all parameters, each counted once; null where the files do not state it.
    pub parameters_total: Option<u64>,
    /// SHA-256 of each weight file, by file name, so that a result names its model exactly.
    pub sha256: Vec<FileDigest>,
    /// SHA-256 of each other file that affects the tokens: tokenizer, chat template, generation settings. Empty where
    /// these are in the weight file (GGUF), and in results of earlier versions.
    #[serde(default)]
    pub texts_sha256: Vec<FileDigest>,
}

/// A file of the model and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDigest {
    /// Name of the file in the model's folder.
    pub file: String,
    /// SHA-256 of the file's content, in hexadecimal.
    pub sha256: String,
}
