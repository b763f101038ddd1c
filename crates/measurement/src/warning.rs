use serde::{Deserialize, Serialize};

/// What a warning is about, for a script to branch on.
///
/// - `few_warmups`: fewer warm-up passes than a steady state needs
/// - `few_cycles`: fewer cycles than an interval of confidence needs
/// - `sampling`: the output is drawn, not greedy
/// - `gpus_metered_not_used`: GPUs are leased and metered while inference runs on the CPU, or while no layer of the
///   model lies on one
/// - `batched_output`: requests shared batches, whose answers the engine mixed up; of results of before batches were checked
/// - `synthetic_engine`: the experiment was run by the synthetic engine: no model, no real tokens
/// - `metric_unknown`: a metric is null; the message says which and why
/// - `energy_incomplete`: a part of `total_energy_j` could not be measured and is not in it
/// - `energy_estimated`: energy is an estimate, not a measurement
/// - `no_temporal_overlap`: ranks did not run at the same time
/// - `gpu_counted_twice`: a GPU was counted for two ranks
/// - `rank_imbalance`: ranks ran for very different times
/// - `short_window`: a measurement window is short for its sources
/// - `foreign_gpu_process`: another process used a leased GPU in the window
/// - `foreign_cpu_load`: others used the host's CPUs in the window
/// - `throttled`: a GPU lowered its clocks for heat or power in the window
/// - `temperature_drift`: a device's temperature changed by more than 10 degrees in the window
/// - `persistence_mode_off`: the GPU's persistence mode is off: its clocks and context are set up anew for each
///   process
/// - `sources_disagree`: a device's sensors disagree: counter and polled power
/// - `gpu_limited`: a GPU is a MIG slice's board, or was lost, or refuses a reading
/// - `output_differs`: greedy output differed between cycles
/// - `prompt_truncated`: a prompt was cut to `max_input_tokens`
/// - `requests_failed`: requests to a server failed: their tokens and latencies are left out, their energy is not
/// - `engine_limited`: a server does not honour, or does not say, what the experiment asked for
/// - `engine_not_found`: the processes of a server cannot be told, so that no energy is attributed to it, or were found in
///   another way than the configuration names first
/// - `open_load_saturated`: an open load that the engine could not keep up with: its backlog grew throughout
/// - `not_steady`: a warm-up ended before its iterations were alike
/// - `not_cooled`: a cycle began with a GPU that was warmer than `start_below_temperature_c`
/// - `not_settled`: a cycle began before power and temperature of its GPUs were steady
/// - `power_limit_changed`: the power limit of a GPU changed in a cycle, which is not counted: somebody else set it, or its
///   driver was loaded anew
/// - `load_generator_late`: the process that sends the requests lagged behind, so that latencies are too long
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

/// Something a careful reader should know about a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Warning {
    pub code: WarningCode,
    /// The same for people, with the figures.
    pub message: String,
}
