//! What a result was measured under, beside the experiment, the machine and the model: what a repetition has to have alike.

use std::collections::BTreeMap;

use joulemark_measurement::ComputeCapability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The build and the host's settings, as they were once the cycles were measured. What is not told is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunConditions {
    /// Commit that the service was built from; null where the build did not know.
    pub joulemark_commit: Option<String>,
    pub engine: EngineBuild,
    /// Frequency governors of the CPUs, each once; empty where the kernel shows none.
    pub cpu_governors: Vec<String>,
    /// The driver that sets their frequency.
    pub cpu_scaling_driver: Option<String>,
    /// Whether the CPUs may exceed their base frequency.
    pub turbo: Option<bool>,
    /// Whether several logical CPUs share a core.
    pub smt: Option<bool>,
    /// The host's memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Power limits of CPU packages, as RAPL enforces them; empty where the kernel shows none.
    pub rapl_limits: Vec<RaplLimit>,
    /// The experiment's GPUs.
    pub gpus: Vec<GpuConditions>,
    /// The container that the service runs in, such as `docker`; `none` outside of one.
    pub container: Option<String>,
    /// The virtual machine that the service runs in; `none` on bare metal.
    pub virtual_machine: Option<String>,
    /// Variables of the environment that change how an engine computes, from a fixed list that has no secrets.
    pub environment: BTreeMap<String, String>,
}

/// The program that computed, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineBuild {
    /// As the experiment names it.
    pub name: String,
    /// Version of the engine's program, or of the server.
    pub version: Option<String>,
    /// Version of the inference library within it.
    pub library_version: Option<String>,
    /// What it was built with, `cuda` for instance; empty where it does not say.
    pub features: Vec<String>,
    /// CPU features that its kernels were compiled for.
    pub compiled_cpu_features: Vec<String>,
    /// Compute capability that its kernels for GPUs were compiled for; null for the CPU alone.
    #[schema(value_type = Option<String>)]
    pub compute_capability: Option<ComputeCapability>,
}

/// A power limit that RAPL enforces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RaplLimit {
    /// Name of the zone, such as `package-0`.
    pub zone: String,
    /// Name of the constraint, such as `long_term`.
    pub constraint: String,
    /// The limit, in watts.
    pub power_limit_w: f64,
    /// The time over which it holds on average, in seconds; null where the kernel does not tell.
    pub time_window_sec: Option<f64>,
}

/// A GPU's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuConditions {
    /// NVML's UUID of the board.
    pub uuid: String,
    /// As NVML names it.
    pub name: Option<String>,
    /// In bytes.
    pub memory_bytes: Option<u64>,
    /// Version of the driver.
    pub driver_version: Option<String>,
    /// Clock of the streaming multiprocessors as it was last seen, in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock as it was last seen, in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// The power limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// Whether the driver keeps the board initialised.
    pub persistence_mode: Option<bool>,
    /// Whether the board is cut into MIG slices.
    pub mig_enabled: Option<bool>,
}
