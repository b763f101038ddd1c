use serde::{Deserialize, Serialize};

/// Confidence in a figure.
///
/// - `high`: an energy from a hardware counter, with a half-width of at most 5 %; FLOPs of a model whose operators and
///   tensors are all known
/// - `medium`: an energy from a hardware counter with at most 20 %, or from ten or more samples of polled power with at
///   most 20 %; FLOPs by the formulas of the model's family
/// - `low`: every other energy, and each estimate
///
/// For an energy, a window with fewer than five refreshes of the sensor lowers the confidence by one step, and a
/// contradiction to another reading or to the device's declared limit makes it `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    /// Returns the value's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Device, or part of one, that a reading covers.
///
/// - `gpu`: a whole board
/// - `package`: a CPU package
/// - `dram`: memory, in addition to its package
/// - `core`: the cores of a package, included in it
/// - `uncore`: the other parts of a package, included in it
/// - `psys`: the whole platform, including packages
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
    /// Returns the value's name in JSON.
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

/// Owner of a reading's energy.
///
/// - `host`: the whole host or device
/// - `attributed`: the part attributed to one experiment
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergyScope {
    Host,
    Attributed,
}

/// Interface from which a reading comes.
///
/// - `nvml`: NVML, for a GPU
/// - `rapl_powercap`: RAPL through the powercap tree
/// - `rapl_perf_event`: RAPL through perf_event
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
    /// Returns the value's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nvml => "nvml",
            Self::RaplPowercap => "rapl_powercap",
            Self::RaplPerfEvent => "rapl_perf_event",
            Self::TdpEstimate => "tdp_estimate",
        }
    }
}

/// Method by which energy was obtained.
///
/// - `energy_counter`: the difference of a hardware counter
/// - `power_integration`: polled power, integrated over time
/// - `estimate`: an estimate, without a measurement
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnergyMethod {
    EnergyCounter,
    PowerIntegration,
    Estimate,
}

/// Energy of one source over one window, with its method and its uncertainty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceReading {
    pub domain: EnergyDomain,
    /// NVML index of the GPU; null for a CPU source.
    pub gpu: Option<u32>,
    /// UUID of the GPU, which stays the same when GPUs are renumbered; null for a CPU source.
    pub gpu_uuid: Option<String>,
    /// Name of the RAPL zone as its `name` file has it (`package-0`, `dram`); null for a GPU.
    pub zone: Option<String>,
    /// Folder of the zone (`intel-rapl:0:1`), which distinguishes zones of the same name; null for a GPU.
    pub zone_path: Option<String>,
    pub scope: EnergyScope,
    /// Energy over the window in joules; null when it is unknown, with the reason in `note`.
    pub energy_j: Option<f64>,
    /// `energy_j` divided by the window's length, in watts.
    pub mean_power_w: Option<f64>,
    pub source: EnergySourceKind,
    pub method: EnergyMethod,
    pub confidence: Confidence,
    /// Number of samples of this source inside the window, both edges included.
    pub sample_count: u32,
    /// Mean interval between those samples in milliseconds; null with fewer than two samples.
    pub interval_ms: Option<f64>,
    /// Half-width in joules of the interval around `energy_j`: a 95 % interval for a measurement, assumed bounds for an
    /// estimate. Null when unknown.
    pub uncertainty_j: Option<f64>,
    /// Derivation of `uncertainty_j` in words.
    pub uncertainty_basis: String,
    /// The instrument's accuracy in percent of the reading, as its maker states it; null when the maker states none. It
    /// is not part of `uncertainty_j`, which covers sampling only.
    pub instrument_accuracy_percent: Option<f64>,
    /// Refresh period of the sensor in milliseconds, detected from the samples; null when it cannot be detected.
    pub refresh_ms: Option<f64>,
    /// Whether `energy_j` is part of `total_energy_j`; false for a domain that is included in another one.
    pub counted_in_total: bool,
    /// Assumptions of an estimate, or the reason why `energy_j` is null.
    pub note: Option<String>,
}

/// Energy over one window, or over several: of one rank in one cycle, of one cycle, or of the whole experiment. Sums
/// run over distinct sources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnergyMetrics {
    // These comments are for users of the library. In the API's description the table of metrics
    // (`crates/analysis/src/metrics`) replaces those of the metrics.
    /// Energy of GPUs, CPU packages and memory in joules: `gpu_energy_j` + `cpu_energy_j` + `dram_energy_j`. A part
    /// without any source, memory of unknown energy, and an unknown share of known packages are left out. `None` if a
    /// GPU, or a package that has a source, is unknown, or if no part is known.
    pub total_energy_j: Option<f64>,
    /// Half-width of `total_energy_j` in joules: those of its parts, added. `None` if one of them is unknown.
    pub total_energy_uncertainty_j: Option<f64>,
    /// Energy of the GPUs in joules, whole boards. `None` without a GPU, or if one of them is unknown.
    pub gpu_energy_j: Option<f64>,
    /// Half-width of `gpu_energy_j` in joules: those of the GPUs, added.
    pub gpu_energy_uncertainty_j: Option<f64>,
    /// The given processes' share of `host_cpu_energy_j`, by CPU time, in joules. Over the whole host it equals
    /// `host_cpu_energy_j`. `None` if that or the share is unknown.
    pub cpu_energy_j: Option<f64>,
    /// Half-width of `cpu_energy_j` in joules: the same share of that of `host_cpu_energy_j`. The error of the split is
    /// not included.
    pub cpu_energy_uncertainty_j: Option<f64>,
    /// The given processes' share of `host_dram_energy_j`, by CPU time, in joules. Over the whole host it equals
    /// `host_dram_energy_j`. `None` if that or the share is unknown.
    pub dram_energy_j: Option<f64>,
    /// Half-width of `dram_energy_j` in joules: the same share of that of `host_dram_energy_j`.
    pub dram_energy_uncertainty_j: Option<f64>,
    /// Energy of all CPU packages of the host in joules, or its estimate. `None` without a source, or if one package is
    /// unknown.
    pub host_cpu_energy_j: Option<f64>,
    /// Half-width of `host_cpu_energy_j` in joules: those of the packages, added.
    pub host_cpu_energy_uncertainty_j: Option<f64>,
    /// Energy of the host's memory in joules. `None` without a source, or if one memory zone is unknown.
    pub host_dram_energy_j: Option<f64>,
    /// Half-width of `host_dram_energy_j` in joules: those of the memory zones, added.
    pub host_dram_energy_uncertainty_j: Option<f64>,
    /// Energy in joules that the idle packages would have used in the same time. The meter leaves it `None`; the
    /// service computes it from a baseline.
    pub host_idle_energy_j: Option<f64>,
    /// Part of `host_cpu_energy_j` in joules that no tracked process caused. `None` if that energy or the host's CPU
    /// time is unknown.
    pub host_other_energy_j: Option<f64>,
    /// `gpu_energy_j` / `duration_sec`, in watts.
    pub gpu_power_w: Option<f64>,
    /// `cpu_energy_j` / `duration_sec`, in watts.
    pub cpu_power_w: Option<f64>,
    /// Length of the window in seconds. `None` if it is not above 0.
    pub duration_sec: Option<f64>,
    /// The given processes' share of the host's busy CPU time, from 0 to 1. `None` over the whole host, or if a process
    /// was not tracked from the window's start or the host's CPU time is unknown.
    pub cpu_time_share: Option<f64>,
    /// Idle power of the devices, and the energy above it. It is never subtracted from the figures above. Empty in
    /// results of the meter alone.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    /// Energy by phase, where the windows are long enough for the sources. Empty in results of the meter alone.
    #[serde(default)]
    pub phases: Vec<PhaseEnergy>,
    /// Every source of energy, with its method and its uncertainty.
    pub sources: Vec<SourceReading>,
}

impl EnergyMetrics {
    /// Returns the sum of the known energies of GPUs, packages and memory, in joules; `None` when none is known. It is
    /// also `None` when the energy of the GPUs (`has_gpus`) is unknown, or that of the host's packages although they
    /// have a source: these are most of the energy, and a total without them would mislead.
    pub fn sum_of_parts_j(&self, has_gpus: bool) -> Option<f64> {
        let lacks_gpus = has_gpus && self.gpu_energy_j.is_none();
        let has_packages = self.sources.iter().any(|source| source.domain == EnergyDomain::Package);
        let lacks_packages = has_packages && self.host_cpu_energy_j.is_none() && self.cpu_energy_j.is_none();
        let parts = [self.gpu_energy_j, self.cpu_energy_j, self.dram_energy_j];
        let known = parts.into_iter().flatten().reduce(|sum, part| sum + part);
        known.filter(|_| !lacks_gpus && !lacks_packages)
    }
}

/// Idle state in which a baseline was taken.
///
/// - `bare`: devices idle and cool, nothing loaded
/// - `loaded`: the model in memory, idle, just before the cycles; a CUDA context alone draws tens of watts
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    Bare,
    Loaded,
}

/// Idle baseline of the experiment's own devices and the host's packages, and the energy above it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Baseline {
    pub kind: BaselineKind,
    /// Idle power of all counted sources together, in watts; null when it was not measured, with the reason in `note`.
    pub baseline_power_w: Option<f64>,
    /// Idle power of the GPUs, in watts.
    pub gpu_power_w: Option<f64>,
    /// Idle power of the CPU packages (whole host), in watts.
    pub host_cpu_power_w: Option<f64>,
    /// Energy above idle in joules: (GPU energy + host CPU and memory energy) minus each source's idle power over the
    /// window of its energy. The idle part is `baseline_power_w` × `duration_sec` where all ranks ran from start to
    /// end. May be negative within the uncertainty.
    pub marginal_energy_j: Option<f64>,
    /// Length of the idle window in seconds.
    pub window_sec: Option<f64>,
    /// Time from the baseline to the window's start, in seconds.
    pub age_sec: Option<f64>,
    /// Limits of the baseline, or the reason why it is null; null where there is nothing to note.
    pub note: Option<String>,
}

/// Phase of a run.
///
/// - `model_load`: the model is read and prepared
/// - `warm_up`: passes that are not measured
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

/// Energy of one phase in joules: that of the GPUs, and the attributed share of the host's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PhaseEnergy {
    pub phase: Phase,
    /// Time spent in the phase in seconds; with several ranks, the time in which at least one was in it. A rank is in
    /// prefill while a request has no token yet, and in decode while all its requests have their first token.
    pub duration_sec: f64,
    /// Energy of the phase in joules; null where its windows are too short for the sources, with the reason in `note`.
    pub total_energy_j: Option<f64>,
    /// Energy of the GPUs, in joules.
    pub gpu_energy_j: Option<f64>,
    /// Attributed share of the energy of the CPU packages, in joules.
    pub cpu_energy_j: Option<f64>,
    /// Confidence in `total_energy_j`; null where that is null.
    pub confidence: Option<Confidence>,
    /// Reason why a figure is null; null where there is nothing to note.
    pub note: Option<String>,
}
