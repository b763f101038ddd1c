use serde::{Deserialize, Serialize};

/// How far a figure may be trusted.
///
/// - `low`: an estimate from nameplate values
/// - `medium`: an integral of polled power, or a known formula
/// - `high`: a hardware counter read over the window
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a reading covers.
///
/// - `gpu`: a whole board
/// - `package`: a CPU package
/// - `dram`: memory, beside its package
/// - `core`: a package's cores, within it
/// - `uncore`: the rest of a package, within it
/// - `psys`: the whole platform, packages included
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergyDomain {
    Gpu,
    Package,
    Dram,
    Core,
    Uncore,
    Psys,
}

impl EnergyDomain {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Package => "package",
            Self::Dram => "dram",
            Self::Core => "core",
            Self::Uncore => "uncore",
            Self::Psys => "psys",
        }
    }
}

/// Whose energy a reading is.
///
/// - `host`: the whole host's, or whole device's
/// - `attributed`: the part attributed to one experiment
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergyScope {
    Host,
    Attributed,
}

/// Where a reading comes from.
///
/// - `nvml`: a GPU by NVML
/// - `rapl_powercap`: RAPL by the powercap tree
/// - `rapl_perf_event`: RAPL by perf_event
/// - `tdp_estimate`: an estimate from the CPU's nameplate power and its load
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergySourceKind {
    Nvml,
    RaplPowercap,
    RaplPerfEvent,
    TdpEstimate,
}

impl EnergySourceKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nvml => "nvml",
            Self::RaplPowercap => "rapl_powercap",
            Self::RaplPerfEvent => "rapl_perf_event",
            Self::TdpEstimate => "tdp_estimate",
        }
    }
}

/// How energy was had from a source.
///
/// - `energy_counter`: the difference of a hardware counter
/// - `power_integration`: polled power, integrated
/// - `estimate`: nothing was measured
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergyMethod {
    EnergyCounter,
    PowerIntegration,
    Estimate,
}

/// One distinct source's energy over one window, with how it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceReading {
    pub domain: EnergyDomain,
    /// NVML index of the GPU; null for a CPU source.
    pub gpu: Option<u32>,
    /// UUID of the GPU, the identity that survives a reordering; null for a CPU source.
    pub gpu_uuid: Option<String>,
    /// The exact text of the RAPL zone's `name` file (`package-0`, `dram`); null for a GPU.
    pub zone: Option<String>,
    /// The zone's folder (`intel-rapl:0:1`), which tells equal names apart; null for a GPU.
    pub zone_path: Option<String>,
    pub scope: EnergyScope,
    /// Energy over the window in joules; null when it could not be known, with the reason in `note`.
    pub energy_j: Option<f64>,
    /// `energy_j` divided by the window's length, in watts.
    pub mean_power_w: Option<f64>,
    pub source: EnergySourceKind,
    pub method: EnergyMethod,
    pub confidence: Confidence,
    /// Samples of this source inside the window, both edges included.
    pub sample_count: u32,
    /// Mean spacing of those samples in milliseconds; null with fewer than two.
    pub interval_ms: Option<f64>,
    /// Half-width in joules of the interval in which the truth is believed to lie: the 95 % interval of a measurement,
    /// the believed bounds of an estimate. Null when unknown.
    pub uncertainty_j: Option<f64>,
    /// How `uncertainty_j` was derived, in words.
    pub uncertainty_basis: String,
    /// The instrument's own accuracy in percent of the reading, as its maker states it; not part of `uncertainty_j`,
    /// which is about sampling. Null when the maker does not say.
    pub instrument_accuracy_percent: Option<f64>,
    /// How often the sensor really refreshes, in milliseconds, detected from the samples; null when they do not tell.
    pub refresh_ms: Option<f64>,
    /// Whether `energy_j` is part of `total_energy_j`; false for a domain that another one contains.
    pub counted_in_total: bool,
    /// The assumptions of an estimate, or why `energy_j` is null.
    pub note: Option<String>,
}

/// Energy of one rank in one cycle, of one cycle, or of the whole experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnergyMetrics {
    // What each metric is stands in the table of metrics (`crates/analysis/src/metrics`).
    pub total_energy_j: Option<f64>,
    pub total_energy_uncertainty_j: Option<f64>,
    pub gpu_energy_j: Option<f64>,
    pub gpu_energy_uncertainty_j: Option<f64>,
    pub cpu_energy_j: Option<f64>,
    pub cpu_energy_uncertainty_j: Option<f64>,
    pub dram_energy_j: Option<f64>,
    pub dram_energy_uncertainty_j: Option<f64>,
    pub host_cpu_energy_j: Option<f64>,
    pub host_cpu_energy_uncertainty_j: Option<f64>,
    pub host_dram_energy_j: Option<f64>,
    pub host_dram_energy_uncertainty_j: Option<f64>,
    pub host_idle_energy_j: Option<f64>,
    pub host_other_energy_j: Option<f64>,
    pub gpu_power_w: Option<f64>,
    pub cpu_power_w: Option<f64>,
    pub duration_sec: Option<f64>,
    pub cpu_time_share: Option<f64>,
    /// What the devices draw without the work, and the energy above it; never subtracted from the figures above.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// Energy by phase, where the windows are long enough to tell.
    #[serde(default)]
    pub phases: Vec<PhaseEnergy>,
    /// Every distinct source with how it is known.
    pub sources: Vec<SourceReading>,
}

impl EnergyMetrics {
    /// GPUs, packages and memory together, as far as they are known, in joules; null when nothing is. Null also when its
    /// GPUs (`has_gpus`) are not known, or the packages that some source is there for: they are most of the energy, and
    /// a total that silently lacks them would read like a good result.
    pub fn sum_of_parts_j(&self, has_gpus: bool) -> Option<f64> {
        let lacks_gpus = has_gpus && self.gpu_energy_j.is_none();
        let has_packages = self.sources.iter().any(|source| source.domain == EnergyDomain::Package);
        let lacks_packages = has_packages && self.host_cpu_energy_j.is_none() && self.cpu_energy_j.is_none();
        let parts = [self.gpu_energy_j, self.cpu_energy_j, self.dram_energy_j];
        let known = parts.into_iter().flatten().reduce(|sum, part| sum + part);
        known.filter(|_| !lacks_gpus && !lacks_packages)
    }
}

/// Which idle state a baseline was taken in.
///
/// - `bare`: devices at rest and cool, nothing loaded
/// - `loaded`: the model in memory, idle, just before the cycles; a CUDA context alone draws tens of watts
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    Bare,
    Loaded,
}

/// An idle baseline over the experiment's own devices and the host's packages, and the energy above it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    pub kind: BaselineKind,
    /// Idle power of all counted sources together, in watts; null when it was not measured, with the reason in `note`.
    pub baseline_power_w: Option<f64>,
    /// Of the GPUs alone, in watts.
    pub gpu_power_w: Option<f64>,
    /// Of the CPU packages (whole host) alone, in watts.
    pub host_cpu_power_w: Option<f64>,
    /// (GPU energy + host CPU and memory energy) minus each source's idle power over the window that its energy is read
    /// over, in joules: `baseline_power_w` × `duration_sec` where all ranks ran from start to end. May be negative
    /// within the uncertainty.
    pub marginal_energy_j: Option<f64>,
    /// Length of the idle window in seconds.
    pub window_sec: Option<f64>,
    /// How long before the window's start the baseline was taken, in seconds.
    pub age_sec: Option<f64>,
    /// What a careful reader should know of it; null for nothing.
    pub note: Option<String>,
}

/// A part of the run.
///
/// - `model_load`: the model is read and prepared
/// - `warm_up`: unmeasured passes
/// - `prefill`: requests before their first token
/// - `decode`: requests after their first token
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    ModelLoad,
    WarmUp,
    Prefill,
    Decode,
}

/// Energy of one phase: GPUs and the attributed share of the host, in joules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseEnergy {
    pub phase: Phase,
    /// Time spent in the phase in seconds; with several ranks the time in which at least one was in it. In prefill a
    /// rank has a request before its first token, in decode it has requests after it and none before.
    pub duration_sec: f64,
    /// Null where the phase's windows are too short for the sources, with the reason in `note`.
    pub total_energy_j: Option<f64>,
    /// The GPUs, in joules.
    pub gpu_energy_j: Option<f64>,
    /// CPU packages, attributed share, in joules.
    pub cpu_energy_j: Option<f64>,
    /// Of `total_energy_j`; null where that is.
    pub confidence: Option<Confidence>,
    /// Why a figure is null; null for nothing to say.
    pub note: Option<String>,
}
