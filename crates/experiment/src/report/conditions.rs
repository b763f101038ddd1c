//! The conditions of a measurement besides experiment, machine and model, which a repetition needs to have in common.

use std::collections::BTreeMap;

use joulemark_measurement::ComputeCapability;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The build and the host's settings after the cycles. Unknown settings are null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunConditions {
    /// Commit that the service was built from; null where the build did not know it.
    pub joulemark_commit: Option<String>,
    pub engine: EngineBuild,
    /// Frequency governors of the CPUs, each once; empty where the kernel reports none.
    pub cpu_governors: Vec<String>,
    /// Driver that scales the CPUs' frequency.
    pub cpu_scaling_driver: Option<String>,
    /// Whether the CPUs may exceed their base frequency.
    pub turbo: Option<bool>,
    /// Whether several logical CPUs share a core (simultaneous multithreading).
    pub smt: Option<bool>,
    /// The host's memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Power limits of CPU packages that RAPL enforces; empty where the kernel reports none.
    pub rapl_limits: Vec<RaplLimit>,
    /// Settings of the experiment's GPUs.
    pub gpus: Vec<GpuConditions>,
    /// Container that the service runs in, such as `docker`; `none` outside a container.
    pub container: Option<String>,
    /// Virtual machine that the service runs in; `none` on bare metal.
    pub virtual_machine: Option<String>,
    /// Environment variables that affect how an engine computes, from a fixed list without secrets.
    pub environment: BTreeMap<String, String>,
}

/// The program that ran the model, as it describes itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EngineBuild {
    /// Name of the engine, as in the experiment.
    pub name: String,
    /// Version of the engine's program, or of the server.
    pub version: Option<String>,
    /// Version of the inference library in the program.
    pub library_version: Option<String>,
    /// Features that it was built with, such as `cuda`; empty where it does not state them.
    pub features: Vec<String>,
    /// CPU features that its kernels were compiled for.
    pub compiled_cpu_features: Vec<String>,
    /// Compute capability that its GPU kernels were compiled for; null for the CPU alone.
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
    /// Time over which the limit holds on average, in seconds; null where the kernel does not report it.
    pub time_window_sec: Option<f64>,
}

/// Settings of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuConditions {
    /// UUID of the GPU.
    pub uuid: String,
    /// Product name, as NVML reports it.
    pub name: Option<String>,
    /// Memory of the GPU, in bytes.
    pub memory_bytes: Option<u64>,
    /// Version of the driver.
    pub driver_version: Option<String>,
    /// Last clock of the streaming multiprocessors that was read, in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Last memory clock that was read, in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// The power limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// Whether the driver keeps the GPU initialised (persistence mode).
    pub persistence_mode: Option<bool>,
    /// Whether the GPU is divided into MIG instances.
    pub mig_enabled: Option<bool>,
}
