use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a warning is about, for a script to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    FewWarmups,
    FewCycles,
    Sampling,
    GpusMeteredNotUsed,
    /// Requests share batches, whose answers the engine mixes up.
    BatchedOutput,
    /// The experiment was run by the synthetic engine: no model, no real tokens.
    SyntheticEngine,
    /// A metric is null; the message says which and why.
    MetricUnknown,
    /// A part of `total_energy_j` could not be measured and is not in it.
    EnergyIncomplete,
    /// Energy is an estimate, not a measurement.
    EnergyEstimated,
    /// Ranks did not run at the same time.
    NoTemporalOverlap,
    /// A GPU was counted for two ranks.
    GpuCountedTwice,
    /// Ranks ran for very different times.
    RankImbalance,
    /// A measurement window is short for its sources.
    ShortWindow,
    /// Another process used a leased GPU in the window.
    ForeignGpuProcess,
    /// Others used the host's CPUs in the window.
    ForeignCpuLoad,
    /// A GPU lowered its clocks for heat or power in the window.
    Throttled,
    /// A device's temperature changed by more than 10 degrees in the window.
    TemperatureDrift,
    /// The GPU's persistence mode is off: its clocks and context are set up anew for each process.
    PersistenceModeOff,
    /// A device's sensors disagree: counter and polled power.
    SourcesDisagree,
    /// A GPU is a MIG slice's board, or was lost, or refuses a reading.
    GpuLimited,
    /// Greedy output differed between cycles.
    OutputDiffers,
    /// A prompt was cut to `max_input_tokens`.
    PromptTruncated,
}

/// Something a careful reader should know about a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    pub code: WarningCode,
    pub message: String,
}
