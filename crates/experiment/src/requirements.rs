use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::choices::{Device, Isolation};
use super::served::default_engine;

/// The requirements that a node must meet to run an experiment. The queue stores them apart from the spec, whose
/// prompts may be megabytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    pub model_name: String,
    #[serde(default = "default_engine")]
    pub engine: String,
    /// `cuda` or `cpu`.
    pub device: Device,
    pub num_processes: u32,
    /// UUIDs of the GPUs that the experiment must have; empty where any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    pub gpu_count: u32,
    #[serde(default)]
    pub isolation: Isolation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: BTreeMap<String, String>,
    /// Name of the prompt file that the node must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_source: Option<String>,
    /// Whether the node must set power limits or clocks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sets_power: bool,
}
