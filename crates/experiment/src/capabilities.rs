use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::OfferedServer;
use super::host::{Host, Model};
use super::offered_engine::{OfferedEngine, refused_board};

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
