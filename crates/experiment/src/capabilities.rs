use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::OfferedServer;
use super::host::{Host, Model};
use super::offered_engine::{OfferedEngine, refused_board};

/// The capabilities of a node, as it announces them to the other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    pub hostname: String,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub host: Host,
    /// Models under the node's models folder that can be loaded.
    pub models: Vec<OfferedModel>,
    /// Whether the node also loads models from the Hugging Face hub.
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    /// Names of the files in the node's prompts folder; empty for servers of earlier versions.
    #[serde(default)]
    pub prompt_files: Vec<String>,
    /// Servers that the node's configuration describes as engines; empty for servers of earlier versions.
    #[serde(default)]
    pub servers: Vec<OfferedServer>,
    /// Why programs of engines on the node cannot be started; empty for servers of earlier versions.
    #[serde(default)]
    pub engine_problems: Vec<String>,
    /// Engines that the node can start. They are stored apart from this document: servers of earlier versions
    /// announce none, and such a node has the engine that was built into its server.
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
    /// Returns the model with this name.
    pub fn model(&self, name: &str) -> Option<&OfferedModel> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Sets the engines that the node can start, why others cannot be started, and which GPUs the engines compute on.
    pub fn set_engines(&mut self, engines: Vec<OfferedEngine>, problems: Vec<String>) {
        self.host.cuda_build = engines.iter().any(OfferedEngine::has_cuda);
        for gpu in &mut self.host.gpus {
            gpu.engine_problem = refused_board(&engines, &problems, gpu.compute_capability);
        }
        self.engine_problems = problems;
        self.engines = engines;
    }

    /// Returns the engine with this name.
    pub fn engine(&self, name: &str) -> Option<&OfferedEngine> {
        self.engines.iter().find(|engine| engine.name == name)
    }

    /// Returns the server with this name.
    pub fn server(&self, name: &str) -> Option<&OfferedServer> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Returns whether the node has each of these labels with the same value.
    pub fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
