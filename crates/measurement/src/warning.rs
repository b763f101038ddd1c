use serde::{Deserialize, Serialize};

/// Code of a warning, on which a script can branch.
///
/// - `few_warmups`: fewer warm-up passes than a steady state needs
/// - `few_cycles`: fewer cycles than a confidence interval needs
/// - `sampling`: the output is sampled, not greedy
/// - `gpus_metered_not_used`: GPUs are leased and metered although inference runs on the CPU, or no layer of the model
///   is on them
/// - `batched_output`: requests shared batches, whose answers the engine mixed up; only in results from before batches
///   were checked
/// - `synthetic_engine`: the experiment was run by the synthetic engine: no model, no real tokens
/// - `metric_unknown`: a metric is null; the message says which one and why
/// - `energy_incomplete`: a part of `total_energy_j` could not be measured and is left out of it
/// - `energy_estimated`: an energy is estimated, not measured
/// - `no_temporal_overlap`: ranks did not run at the same time
/// - `gpu_counted_twice`: the energy of a GPU was counted for two ranks
/// - `rank_imbalance`: ranks ran for very different lengths of time
/// - `short_window`: a measurement window is too short for the refresh periods of its energy sources
/// - `foreign_gpu_process`: another process used a leased GPU in the window
/// - `foreign_cpu_load`: processes outside this server's experiments used the host's CPUs in the window
/// - `throttled`: a GPU lowered its clocks because of heat or power in the window
/// - `temperature_drift`: a device's temperature changed by more than 10 degrees in the window
/// - `persistence_mode_off`: the GPU's persistence mode is off, so its clocks and context are set up again for each
///   process
/// - `sources_disagree`: a device's energy counter and its polled power disagree
/// - `gpu_limited`: a GPU is divided into MIG slices, was lost, or does not support a reading
/// - `output_differs`: greedy output differed between cycles
/// - `prompt_truncated`: a prompt was cut to `max_input_tokens`
/// - `requests_failed`: requests to a server failed: their tokens and latencies are left out, their energy is included
/// - `engine_limited`: a server does not support what the experiment asked for, or does not say whether it does
/// - `engine_not_found`: the processes of a server could not be identified, so that no energy is attributed to it, or
///   were found in another way than the first that is configured
/// - `open_load_saturated`: requests of an open load came faster than the engine answered them, and its backlog grew
///   throughout
/// - `not_steady`: a warm-up reached its maximum of iterations before they took about the same time
/// - `not_cooled`: a cycle began while a GPU was warmer than `start_below_temperature_c`
/// - `not_settled`: a cycle began before power and temperature of its GPUs were steady
/// - `power_limit_changed`: the power limit of a GPU changed in a cycle, and that cycle is not counted: another program
///   set it, or the driver was reloaded
/// - `load_generator_late`: the process that sends the requests was late, so that latencies are too long
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    FewWarmups,
    FewCycles,
    Sampling,
    GpusMeteredNotUsed,
    BatchedOutput,
    SyntheticEngine,
    MetricUnknown,
    EnergyIncomplete,
    EnergyEstimated,
    NoTemporalOverlap,
    GpuCountedTwice,
    RankImbalance,
    ShortWindow,
    ForeignGpuProcess,
    ForeignCpuLoad,
    Throttled,
    TemperatureDrift,
    PersistenceModeOff,
    SourcesDisagree,
    GpuLimited,
    OutputDiffers,
    PromptTruncated,
    RequestsFailed,
    EngineLimited,
    EngineNotFound,
    NotSettled,
    PowerLimitChanged,
    LoadGeneratorLate,
    NotSteady,
    NotCooled,
    OpenLoadSaturated,
}

/// A limit of a result that its reader has to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    pub code: WarningCode,
    /// The warning in words, with its figures.
    pub message: String,
}
