use serde::{Deserialize, Serialize};

use super::{BatchCheck, EosHandling, ServedEngine, Window};

/// The machine and the program version that produced a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Machine {
    /// The host's name.
    pub hostname: String,
    /// Name and version of the operating system's kernel.
    pub kernel: String,
    /// CPU model as the kernel names it; null where it names none.
    pub cpu_model: Option<String>,
    /// Number of logical CPUs that the server may use.
    pub logical_cpus: u32,
    /// CPU features that the inference kernels were compiled for, such as `avx2`.
    pub compiled_cpu_features: Vec<String>,
    /// Names of the GPUs, in NVML order.
    pub gpu_names: Vec<String>,
    /// Version of the NVIDIA driver; null without one.
    pub nvidia_driver: Option<String>,
    /// Version of this program.
    pub joulemark_version: String,
    /// Version of the inference engine.
    pub mistralrs_version: String,
}

/// CPUs and threads of a rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CpuPlacement {
    /// Logical CPUs that the rank was pinned to.
    pub cpus: Vec<u32>,
    /// Number of compute threads of the inference kernels.
    pub threads: u32,
}

/// Warm-up of one rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WarmUpReport {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// Number of iterations.
    pub iterations: u32,
    pub ended: WarmUpEnd,
    /// Duration of each iteration in seconds.
    pub iteration_sec: Vec<f64>,
}

/// Reason for which a warm-up ended.
///
/// - `iterations`: `warmup_iterations` were done
/// - `steady`: the last iterations took about the same time
/// - `max_iterations`: the maximum number of iterations was reached before that
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WarmUpEnd {
    Iterations,
    Steady,
    MaxIterations,
}

/// Report of a rank whose model is loaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoadReport {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// Start and end of the load, CLOCK_MONOTONIC.
    pub window: Window,
    /// `cpu`, or the CUDA device.
    pub device: String,
    /// Type of the activations, such as `f32`; `unknown` for a server.
    pub activation_dtype: String,
    /// Maximum length of a sequence, in tokens; 0 where a server does not report it.
    pub max_sequence_tokens: u32,
    pub placement: CpuPlacement,
    /// Treatment of the end-of-sequence token; null in older results.
    #[serde(default)]
    pub eos: Option<EosHandling>,
    /// The server, where the engine is one that is driven over HTTP; null for other engines.
    #[serde(default)]
    pub server: Option<ServedEngine>,
    /// Check of the rank's batch; null for a batch size of 1, and for a server.
    #[serde(default)]
    pub batch_check: Option<BatchCheck>,
    /// Number of the model's layers on each device, as the engine placed them; empty where it does not report them.
    #[serde(default)]
    pub layers: Vec<DeviceLayers>,
    /// Memory that the load took on each of the rank's leased GPUs, by NVML; empty without a GPU, and in older results.
    #[serde(default)]
    pub gpu_memory: Vec<GpuMemory>,
    /// Capacity of the paged key-value cache over all sequences, in tokens; null where attention is not paged.
    #[serde(default)]
    pub paged_cache_tokens: Option<u64>,
    /// Cycle for which the model was loaded, where each cycle has its own process; null where one process runs all
    /// cycles.
    #[serde(default)]
    pub cycle: Option<u32>,
}

/// Memory that a load took on one GPU: weights, key-value cache and other buffers of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuMemory {
    /// UUID of the GPU.
    pub gpu: String,
    /// Bytes at NVML's first reading after the load, at most about two seconds later; null where the run ended before
    /// that reading, or NVML does not report it.
    pub bytes: Option<u64>,
    /// Method of the reading; null where `bytes` is null.
    pub method: Option<GpuMemoryMethod>,
}

impl GpuMemory {
    /// Creates the entry of a GPU whose memory is unknown.
    pub fn unknown(gpu: &str) -> Self {
        Self {
            gpu: gpu.to_owned(),
            bytes: None,
            method: None,
        }
    }
}

/// Method by which a GPU's memory was read.
///
/// - `processes`: memory that NVML reports for the rank's processes
/// - `difference`: memory of the whole board in use after the load minus that before; changes by other processes are
///   included
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GpuMemoryMethod {
    Processes,
    Difference,
}

/// Number of layers on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLayers {
    /// `cpu`, `cuda` or `metal`.
    pub device: String,
    /// Position among the process's devices of this kind, from 0.
    pub ordinal: u32,
    /// UUID of the GPU; null for the CPU.
    #[serde(default)]
    pub gpu: Option<String>,
    /// Number of layers.
    pub layers: u32,
}
