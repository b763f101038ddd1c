use serde::{Deserialize, Serialize};

use super::{BatchCheck, EosHandling, ServedEngine, Window};

/// The machine and the build that produced a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Machine {
    /// The host's name.
    pub hostname: String,
    /// The operating system's kernel and its version.
    pub kernel: String,
    /// CPU model as the kernel names it; null where it does not.
    pub cpu_model: Option<String>,
    /// Logical CPUs the server may use.
    pub logical_cpus: u32,
    /// CPU features the inference kernels were compiled for, e.g. `avx2`.
    pub compiled_cpu_features: Vec<String>,
    /// Names of its GPUs, in NVML order.
    pub gpu_names: Vec<String>,
    /// Version of the NVIDIA driver; null without one.
    pub nvidia_driver: Option<String>,
    /// Version of this program.
    pub joulemark_version: String,
    /// Version of the inference engine.
    pub mistralrs_version: String,
}

/// Where a rank's threads ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuPlacement {
    /// Logical CPUs the rank was pinned to.
    pub cpus: Vec<u32>,
    /// Compute threads of the inference kernels.
    pub threads: u32,
}

/// How a rank was warmed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WarmUpReport {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// Iterations that it took.
    pub iterations: u32,
    pub ended: WarmUpEnd,
    /// Seconds that each iteration took.
    pub iteration_sec: Vec<f64>,
}

/// What ended a warm-up.
///
/// - `iterations`: `warmup_iterations` were done
/// - `steady`: the last iterations took about the same time
/// - `max_iterations`: they did not, and there were enough of them
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WarmUpEnd {
    Iterations,
    Steady,
    MaxIterations,
}

/// What a rank says once its model is in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoadReport {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// The load's span, CLOCK_MONOTONIC.
    pub window: Window,
    /// `cpu`, or the CUDA device.
    pub device: String,
    /// Activation type the model computes in, e.g. `f32`; `unknown` of a server.
    pub activation_dtype: String,
    /// Longest sequence the model takes, in tokens; 0 where a server does not say.
    pub max_sequence_tokens: u32,
    pub placement: CpuPlacement,
    /// How the end of a sequence was treated; null in a result of before this was told.
    #[serde(default)]
    pub eos: Option<EosHandling>,
    /// What the engine is, where it is a server that is driven over HTTP; null for an engine that is none.
    #[serde(default)]
    pub server: Option<ServedEngine>,
    /// How the rank's batch came out; null for a batch of one, and for a server.
    #[serde(default)]
    pub batch_check: Option<BatchCheck>,
    /// Layers of the model on each device, as the engine placed them; empty where it does not say.
    #[serde(default)]
    pub layers: Vec<DeviceLayers>,
    /// Memory that the load took of each GPU that the rank leased, as NVML tells it; empty without a GPU, and in a result of
    /// before this was told.
    #[serde(default)]
    pub gpu_memory: Vec<GpuMemory>,
    /// Tokens that the paged key-value cache has places for, in all sequences; null where attention is not paged.
    #[serde(default)]
    pub paged_cache_tokens: Option<u64>,
    /// The cycle that it was loaded for, where each has a process of its own; null where one process has all.
    #[serde(default)]
    pub cycle: Option<u32>,
}

/// Memory that a load took of one GPU: weights, cache and what the engine keeps beside them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuMemory {
    /// UUID of the GPU.
    pub gpu: String,
    /// Bytes at NVML's first look after the load, at most some two seconds later; null where the run was over before it, or NVML
    /// does not tell.
    pub bytes: Option<u64>,
    /// How it is known; null where it is not.
    pub method: Option<GpuMemoryMethod>,
}

impl GpuMemory {
    /// Returns that of a GPU of which nothing is known.
    pub fn unknown(gpu: &str) -> Self {
        Self {
            gpu: gpu.to_owned(),
            bytes: None,
            method: None,
        }
    }
}

/// How memory of a GPU is known.
///
/// - `processes`: NVML says what the rank's processes hold
/// - `difference`: memory of the whole board in use after the load, less what was before; what others did meanwhile is in it
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GpuMemoryMethod {
    Processes,
    Difference,
}

/// Layers that lie on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLayers {
    /// `cpu`, `cuda` or `metal`.
    pub device: String,
    /// Which of the process's devices of this kind it is, from 0.
    pub ordinal: u32,
    /// UUID of the GPU; null for the CPU.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Layers on it.
    pub layers: u32,
}
