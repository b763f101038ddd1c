use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::choices::{Device, Isolation};
use super::served::default_engine;

/// What a node must have to run an experiment: all that the queue knows of it beside its priority, user and age, and a
/// small part of its spec, whose prompts may be megabytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    pub model_name: String,
    #[serde(default = "default_engine")]
    pub engine: String,
    /// `cuda` or `cpu`.
    pub device: Device,
    pub num_processes: u32,
    /// Exactly these GPUs, by UUID; empty when any will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    pub gpu_count: u32,
    #[serde(default)]
    pub isolation: Isolation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_labels: BTreeMap<String, String>,
    /// The file of prompts that it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_source: Option<String>,
    /// Whether it must set power limits or clocks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sets_power: bool,
}
