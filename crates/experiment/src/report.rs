//! What is stored and served of a finished experiment: aggregate, efficiency ratios, checks. Only words; the
//! arithmetic is `analysis`' business.

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

/// Ratios of sums over ranks and measured cycles. Null when a part is unknown or the divisor is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EfficiencyMetrics {
    // What each metric is stands in the table of metrics (`crates/analysis/src/metrics`).
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

/// Whether a check held.
///
/// - `passed`: it held
/// - `failed`: it did not; a warning says more
/// - `not_applicable`: the check has no meaning here, e.g. overlap of a single rank
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    Passed,
    Failed,
    NotApplicable,
}

/// The checks made before aggregation, and what a careful reader should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Passed when in every cycle the intersection of all ranks' windows is at least half of the shortest.
    pub temporal_overlap: CheckOutcome,
    /// Smallest intersection of the ranks' windows as a share of the shortest window, over cycles; null for one rank.
    pub overlap_ratio: Option<f64>,
    /// Passed when each GPU belongs to one rank only.
    pub gpu_attribution: CheckOutcome,
    /// Longest window of a rank over the shortest in the same cycle, the worst of all cycles; null for one rank.
    pub imbalance_ratio: Option<f64>,
    /// What a careful reader should know.
    pub warnings: Vec<Warning>,
}

/// The same groups as the aggregate, for one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CycleReport {
    /// From 0; warm-up is not a cycle.
    pub cycle: u32,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub efficiency: EfficiencyMetrics,
}

/// Sample standard deviation over cycles of the figures of the same names, each in its own unit: how far one cycle's
/// figure lies from the next. Not an uncertainty. Null below two cycles, and where one cycle's figure is null.
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

/// Where the experiment's wall time went, in seconds; with several ranks the slowest one's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timing {
    /// From the claim to the first rank's beginning to load the model.
    pub claim_to_load_start_sec: Option<f64>,
    /// Loading the model, in seconds.
    pub load_sec: f64,
    /// Unmeasured passes, in seconds.
    pub warm_up_sec: f64,
    /// Time in which the workers were left idle with the model in memory, for the loaded baseline.
    #[serde(default)]
    pub idle_baseline_sec: f64,
    /// Time in which the workers were left idle between cycles.
    #[serde(default)]
    pub cooldown_sec: f64,
    /// Sum over cycles of the union of the ranks' windows.
    pub measuring_sec: f64,
    /// From the claim to the computed result.
    pub total_sec: f64,
    /// Share of `total_sec` not spent in load, warm-up, idle baseline, cooling down or measuring: the service's own cost.
    pub overhead_share: Option<f64>,
}

/// One metric over the measured cycles, in the metric's own unit. Intervals are at 95 %. What takes more cycles than there are is
/// null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricStatistics {
    /// Cycles.
    pub n: u32,
    /// Mean over cycles, each counting once. The metric itself is over all cycles together: a ratio of sums is not a mean of
    /// ratios.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1), from two cycles.
    pub standard_deviation: Option<f64>,
    /// Coefficient of variation: the standard deviation over the mean's size.
    pub cv: Option<f64>,
    /// Smallest cycle.
    pub min: f64,
    /// Median over cycles.
    pub median: f64,
    /// Largest cycle.
    pub max: f64,
    /// Lower end of the interval of the mean, random scatter alone: such intervals hold the true mean in 95 of 100 experiments.
    pub ci_low: Option<f64>,
    /// Upper end of the interval of the mean.
    pub ci_high: Option<f64>,
    /// How the interval of the mean was computed; null without one.
    pub ci_method: Option<CiMethod>,
    /// Interval of the median, from order statistics, from six cycles.
    pub median_ci_low: Option<f64>,
    /// Upper end of the interval of the median.
    pub median_ci_high: Option<f64>,
    /// Correlation of each cycle with the next, from four cycles. Above 0 the interval of the mean is too narrow.
    pub lag1_autocorrelation: Option<f64>,
    /// How many independent cycles say as much of the mean.
    pub effective_n: Option<f64>,
    /// Cycles that lie more than 3.5 robust deviations from the median, from five cycles. They are in every figure.
    pub outliers: Vec<u32>,
    /// Half-width that all cycles have alike: the energy meter's. Null where it is not known, and for what has no energy in it.
    pub instrument_uncertainty: Option<f64>,
    /// The interval of the mean and the instrument's half-width together: the root of the sum of their squares to each side.
    pub combined_low: Option<f64>,
    /// Upper end of both together.
    pub combined_high: Option<f64>,
    /// Of a ratio of two figures that add up over cycles: the ratio of their sums, as the metric itself is. Null for any other.
    #[serde(default)]
    pub ratio_of_sums: Option<f64>,
    /// Lower end of its interval, by the bootstrap of whole cycles, from 20 of them; the mean's is that of the cycles' own ratios.
    #[serde(default)]
    pub ratio_ci_low: Option<f64>,
    /// Upper end of the ratio's interval.
    #[serde(default)]
    pub ratio_ci_high: Option<f64>,
    /// How the ratio's interval was computed; null without one.
    #[serde(default)]
    pub ratio_ci_method: Option<CiMethod>,
}

/// How the interval of a mean was computed.
///
/// - `student_t`: by Student's t, below 20 cycles
/// - `bca_bootstrap`: by the bias-corrected and accelerated bootstrap of 2,000 seeded resamples, from 20 cycles
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiMethod {
    StudentT,
    BcaBootstrap,
}

/// The lowest, the middle and the highest of what a GPU showed during the measured cycles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadingRange {
    /// The lowest, in the unit of what it is of.
    pub min: f64,
    /// The middle.
    pub median: f64,
    /// The highest.
    pub max: f64,
}

/// The power limit of a leased GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuPowerLimit {
    /// UUID.
    pub gpu: String,
    /// What it was to be set to, in watts; null where it stayed as it was.
    pub asked_w: Option<f64>,
    /// What it was set to before, in watts; null where it stayed as it was, or does not tell.
    pub before_w: Option<f64>,
    /// What was in force during the measured cycles, the lowest of all limits that apply, in watts, as NVML told about once a
    /// second; null where it does not tell.
    pub in_force_w: Option<ReadingRange>,
}

/// The clocks of a leased GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuClocks {
    /// UUID.
    pub gpu: String,
    /// What the clock of the streaming multiprocessors was to be locked at, in MHz; null where the board chose.
    pub asked_gpu_clock_mhz: Option<u32>,
    /// What the clock of the memory was to be locked at, in MHz; null where the board chose.
    pub asked_memory_clock_mhz: Option<u32>,
    /// The real clock of the streaming multiprocessors during the measured cycles, in MHz; null where the board does not tell.
    pub sm_clock_mhz: Option<ReadingRange>,
    /// The real clock of the memory during the measured cycles, in MHz; null where the board does not tell.
    pub memory_clock_mhz: Option<ReadingRange>,
}

/// How a cycle waited for its GPUs to cool or to settle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CycleStart {
    /// From 0.
    pub cycle: u32,
    /// Seconds that it waited.
    pub waited_sec: f64,
    /// Of the warmest GPU when the wait was over, in degrees Celsius; null where one does not tell.
    pub temperature_c: Option<u32>,
    /// Whether all were below `start_below_temperature_c`; else the cycle began after `max_cooling_sec`, or at once where a
    /// GPU does not tell. True without a bound.
    pub is_below: bool,
    /// Whether power and temperature of all were steady; false where the cycle began after `settle.max_sec`. Null without
    /// `settle`, and where a GPU does not tell.
    #[serde(default)]
    pub is_steady: Option<bool>,
}

/// How a stop rule ended an experiment. A rule that looks after each cycle ends more often where the interval is narrow by
/// chance: its 95 % interval held the true mean in 92 to 95 % of simulated experiments (docs/methodology.md).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StopReport {
    pub metric: StopMetric,
    /// Half of the interval, as a share of the mean, with which it was to be sure enough.
    pub relative_ci: f64,
    /// What was reached; null where the metric is not known.
    pub reached: Option<f64>,
    /// Cycles that were measured.
    pub cycles: u32,
    /// Whether it was sure enough; else all of `num_cycles` were measured.
    pub sure_enough: bool,
}

/// A percentile of a latency over requests, in milliseconds, with its interval at 95 % from order statistics, which holds
/// whatever the distribution of independent requests is. Requests of one batch are not: their steps are shared, and for their
/// time per token a batch counts as one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequestPercentile {
    /// From 0 to 100.
    pub percentile: f64,
    /// Requests that have this latency.
    pub requests: u32,
    /// The percentile, milliseconds.
    pub value: f64,
    /// Lower end of its interval, milliseconds.
    pub ci_low: Option<f64>,
    /// Null where there are too few requests for it; `note` says how many it takes.
    pub ci_high: Option<f64>,
    /// What the percentile does not lie above, one-sided at 95 %; takes fewer requests than `ci_high`.
    pub upper_bound: Option<f64>,
    /// Why an end is null.
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
    /// How far the cycles lie apart.
    #[serde(default)]
    pub cycle_sd: CycleSpread,
    pub machine: Machine,
    /// How each rank's model was loaded.
    pub loads: Vec<LoadReport>,
    pub model: ModelFacts,
    pub timing: Timing,
    /// Of a batch, whether its sequences came out as each does alone: the check of the rank that came nearest to its bound.
    /// Null for a batch of one, and for a server.
    #[serde(default)]
    pub batch_check: Option<BatchCheck>,
    /// How many decoding steps gave a token to so many sequences, over ranks and measured cycles, the most sequences first.
    /// Null for a batch of one, and for a server.
    #[serde(default)]
    pub batch_steps: Option<Vec<BatchSteps>>,
    /// What was offered, and whether the engine kept up; null in results of before this was told.
    #[serde(default)]
    pub load_report: Option<OfferedReport>,
    /// The part of the cycles in which the load was full; null in results of before this was told.
    #[serde(default)]
    pub steady_state: Option<Box<SteadyState>>,
    /// What was repeated, and which cycles others disturbed; null in results of before this was told.
    #[serde(default)]
    pub repetition: Option<RepetitionReport>,
    /// How the stop rule ended the cycles; null without one.
    #[serde(default)]
    pub stop: Option<StopReport>,
    /// How warm the GPUs were when each cycle began; empty without `start_below_temperature_c` and `settle`.
    #[serde(default)]
    pub cycle_starts: Vec<CycleStart>,
    /// The power limit that was in force on all leased GPUs throughout the measured cycles, in watts; null where they differ by
    /// more than 1 W, none is leased, or one does not tell.
    #[serde(default)]
    pub power_limit_w: Option<f64>,
    /// The power limit of each leased GPU, asked for and in force; empty in results of before this was told.
    #[serde(default)]
    pub power_limits: Vec<GpuPowerLimit>,
    /// The clocks of each leased GPU, asked for and real; empty in results of before this was told.
    #[serde(default)]
    pub clocks: Vec<GpuClocks>,
    /// How each rank was warmed up; empty in results of before this was told.
    #[serde(default)]
    pub warm_ups: Vec<WarmUpReport>,
    /// Each metric over the measured cycles, by its name; those that are null in a cycle, or are no number, are left out.
    #[serde(default)]
    pub statistics: BTreeMap<String, MetricStatistics>,
    /// Percentiles of latencies over the requests of all ranks and cycles, by the metric's name. Empty in results of before
    /// there were any.
    #[serde(default)]
    pub request_percentiles: BTreeMap<String, RequestPercentile>,
    /// A digest of all answers; null where an answer is known neither by its tokens nor by its text, where the answers are
    /// another's, and in results of before there was one.
    #[serde(default)]
    pub outputs: Option<OutputsDigest>,
    /// What it cost and emitted, by numbers that the admin or the submitter gave; null where none was given.
    #[serde(default)]
    pub footprint: Option<Box<Footprint>>,
    /// The build and the host's settings; null in results of before they were told.
    #[serde(default)]
    pub conditions: Option<Box<RunConditions>>,
    /// What it is computed from beside the requests; `None` in results of before it was kept, and as it is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub readings: Option<Box<Readings>>,
}

impl Report {
    /// Returns the cycles that statistics are over.
    pub fn cycles_of_statistics(&self) -> Vec<CycleReport> {
        let left_out = self
            .repetition
            .as_ref()
            .map(|repetition| &repetition.left_out_of_statistics);
        let is_in = |cycle: &&CycleReport| !left_out.is_some_and(|left_out| left_out.contains(&cycle.cycle));
        self.cycles.iter().filter(is_in).cloned().collect()
    }
}

/// The model that was really run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelFacts {
    /// `gguf` or `safetensors`; null for the synthetic engine.
    pub format: Option<String>,
    /// As the files name it, e.g. `llama`.
    pub architecture: Option<String>,
    /// Parameters in all, each counted once; null where the files do not tell.
    pub parameters_total: Option<u64>,
    /// SHA-256 of each weight file, hex, by file name: what makes a result citable.
    pub sha256: Vec<FileDigest>,
    /// SHA-256 of each file beside the weights that decides the tokens: tokenizer, chat template, settings of the generation.
    /// Empty where they are within the weight file (GGUF), and in results of before they were noted.
    #[serde(default)]
    pub texts_sha256: Vec<FileDigest>,
}

/// A weight file and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDigest {
    /// The file's name within the model's folder.
    pub file: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}
