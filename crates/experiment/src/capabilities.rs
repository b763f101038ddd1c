use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use joulemark_measurement::ComputeCapability;

use super::gpu_fit::refused_board;
use super::{Host, Model, OfferedServer};

/// What a node has, as it tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    pub hostname: String,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub host: Host,
    /// Models whose files lie there and can be loaded.
    pub models: Vec<OfferedModel>,
    /// Whether it also takes models from the hub.
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    /// Files of its prompts folder, by name; a server of an earlier version has none.
    #[serde(default)]
    pub prompt_files: Vec<String>,
    /// Servers that its configuration describes as engines; a server of an earlier version has none.
    #[serde(default)]
    pub servers: Vec<OfferedServer>,
    /// Why programs of engines that it has cannot be started; a server of an earlier version tells none.
    #[serde(default)]
    pub engine_problems: Vec<String>,
    /// Engines that it can start. Stored beside the offer, not in it: a server of an earlier version writes none, and
    /// its node then has what was built into it.
    #[serde(skip)]
    pub engines: Vec<OfferedEngine>,
}

/// A model under a node's models folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedModel {
    pub name: String,
    #[serde(flatten)]
    pub facts: Model,
}

/// An engine whose program a node has, in that program's own words: its answer to `--describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedEngine {
    /// `mistral`, for instance: the program is `joulemark-mistral`.
    pub name: String,
    /// Version of the engine's program.
    pub version: String,
    /// Version of the inference library within it.
    pub engine_version: String,
    /// What it was built with, `cuda` for instance; empty for the CPU alone.
    pub features: Vec<String>,
    /// CPU features that its kernels were compiled for, e.g. `avx2`.
    pub compiled_cpu_features: Vec<String>,
    /// Version of the protocol between the service and its workers that it speaks.
    pub protocol_version: u32,
    /// Compute capability that its kernels for GPUs were compiled for, e.g. `9.0`; null for the CPU alone, and where the
    /// program does not tell.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub compute_capability: Option<ComputeCapability>,
}

impl OfferedEngine {
    /// Tells whether it was built to compute on GPUs.
    pub fn has_cuda(&self) -> bool {
        self.features.iter().any(|feature| feature == "cuda")
    }
}

impl Capabilities {
    pub fn model(&self, name: &str) -> Option<&OfferedModel> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Sets what can be started there, why the rest cannot, and on which GPUs that computes.
    pub fn set_engines(&mut self, engines: Vec<OfferedEngine>, problems: Vec<String>) {
        self.host.cuda_build = engines.iter().any(OfferedEngine::has_cuda);
        for gpu in &mut self.host.gpus {
            gpu.engine_problem = refused_board(&engines, &problems, gpu.compute_capability);
        }
        self.engine_problems = problems;
        self.engines = engines;
    }

    /// Finds an engine by its name.
    pub fn engine(&self, name: &str) -> Option<&OfferedEngine> {
        self.engines.iter().find(|engine| engine.name == name)
    }

    /// Finds an engine that is a server by its name.
    pub fn server(&self, name: &str) -> Option<&OfferedServer> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Whether it has each of these labels with this value.
    pub fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
