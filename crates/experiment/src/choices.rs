use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// mistral.rs' in-situ quantization types that a request may name.
pub const QUANTIZATIONS: [&str; 15] = [
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q8_1", "q2k", "q3k", "q4k", "q5k", "q6k", "q8k", "hqq4", "hqq8", "fp8",
];

/// Where inference runs.
///
/// - `auto`: `cuda` when GPUs are named (or this build has CUDA and the host a GPU), else `cpu`
/// - `cuda`: the GPUs
/// - `cpu`: the CPU
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    Auto,
    Cuda,
    Cpu,
}

/// How prompts reach the ranks.
///
/// - `shard`: prompts are dealt round-robin to the ranks
/// - `replicate`: every rank runs all prompts
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    Shard,
    Replicate,
}

/// What a running experiment has to itself.
///
/// - `devices`: the devices that it runs on
/// - `host`: the whole host, so that no other experiment's CPU energy is near it
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    #[default]
    Devices,
    Host,
}

/// Type that the model computes in.
///
/// - `float32`: 32 bits
/// - `float16`: 16 bits, IEEE
/// - `bfloat16`: 16 bits, brain float; refused on the CPU
/// - `auto`: what the engine takes for the model and the device; the only choice for a GGUF
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FpPrecision {
    Float32,
    Float16,
    Bfloat16,
    Auto,
}

/// A GPU by NVML index (as `nvidia-smi` lists it) or by UUID (`GPU-…`). Stored as UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum GpuSelector {
    Index(u32),
    Uuid(String),
}
