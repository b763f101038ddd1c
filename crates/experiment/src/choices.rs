use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::field::{Fields, brief, is_plain};
use super::table::{Bounds, Choice, FieldType, Kind};

/// In-situ quantization types of mistral.rs that a request may name.
pub const QUANTIZATIONS: [&str; 15] = [
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q8_1", "q2k", "q3k", "q4k", "q5k", "q6k", "q8k", "hqq4", "hqq8", "fp8",
];

/// The device that inference runs on.
///
/// - `auto`: `cuda` when GPUs are asked for, or when the host has GPUs that the engine computes on; else `cpu`
/// - `cuda`: on the GPUs
/// - `cpu`: on the CPU
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    Auto,
    Cuda,
    Cpu,
}

/// The distribution of prompts to the ranks.
///
/// - `shard`: prompts are dealt round-robin to the ranks
/// - `replicate`: every rank runs all prompts
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    Shard,
    Replicate,
}

/// The isolation of a running experiment: what it has exclusively.
///
/// - `devices`: the devices that it runs on
/// - `host`: the whole host, so that CPU energy contains no other experiment's share
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    #[default]
    Devices,
    Host,
}

/// Number type that the model computes in.
///
/// - `float32`: 32 bits
/// - `float16`: 16 bits, IEEE
/// - `bfloat16`: 16 bits, brain float; not accepted on the CPU
/// - `auto`: what the engine chooses for the model and the device; the only choice for a GGUF model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FpPrecision {
    Float32,
    Float16,
    Bfloat16,
    Auto,
}

/// A GPU by NVML index (as `nvidia-smi` lists it) or by UUID (`GPU-…`). It is stored as a UUID.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum GpuSelector {
    Index(u32),
    Uuid(String),
}

impl Choice for Device {}
impl Choice for Distribution {}
impl Choice for Isolation {}
impl Choice for FpPrecision {}

/// Reads a quantization type in upper or lower case.
pub fn quantization(fields: &mut Fields<'_>, name: &str) -> Option<String> {
    fields.read(name, &format!("one of {}", QUANTIZATIONS.join(", ")), |value| {
        let word = value.as_str()?.to_lowercase();
        Some(word).filter(|word| QUANTIZATIONS.contains(&word.as_str()))
    })
}

/// Reads a SHA-256 in hexadecimal digits of upper or lower case.
pub fn sha256(fields: &mut Fields<'_>, name: &str) -> Option<String> {
    fields.read(name, "a SHA-256, 64 hexadecimal digits", |value| {
        let text = value.as_str()?.to_lowercase();
        (text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
    })
}

impl FieldType for Vec<GpuSelector> {
    const KIND: Kind = Kind::Document;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        const ACCEPTED: &str = "an NVML index (0, 1, …) or a UUID (\"GPU-…\")";
        let items = fields.read(name, &format!("a list, each item {ACCEPTED}"), Value::as_array)?;
        // A spec without named GPUs is shown with an empty list.
        if items.is_empty() {
            return None;
        }
        let mut gpus = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let selector = match item {
                // The host, which knows its GPUs, rejects MIG slices.
                Value::String(uuid)
                    if (uuid.starts_with("GPU-") || uuid.starts_with("MIG-")) && is_plain(uuid, 100) =>
                {
                    Some(GpuSelector::Uuid(uuid.clone()))
                }
                other => other
                    .as_u64()
                    .and_then(|i| u32::try_from(i).ok())
                    .map(GpuSelector::Index),
            };
            match selector {
                Some(selector) if gpus.contains(&selector) => {
                    fields.problem_at(
                        &format!("{name}/{index}"),
                        format!("is {} again; name each GPU once", brief(item)),
                    );
                }
                Some(selector) => gpus.push(selector),
                None => {
                    fields.problem_at(
                        &format!("{name}/{index}"),
                        format!("is {}; accepted is {ACCEPTED}", brief(item)),
                    );
                }
            }
        }
        Some(gpus)
    }
}
