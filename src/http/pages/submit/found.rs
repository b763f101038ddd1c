//! Models, engines, nodes and files that the form offers.

use std::collections::BTreeSet;

use crate::http::nodes::Node;
use joulemark_experiment::{QUANTIZATIONS, SYNTHETIC_ENGINE};

/// Maximum number of choices of one kind.
const MAX_OFFERED: usize = 500;

/// Names that a submission may use, as the live nodes offer them.
#[derive(Debug, Default)]
pub struct Found {
    models: BTreeSet<String>,
    engines: BTreeSet<String>,
    nodes: BTreeSet<String>,
    prompt_files: BTreeSet<String>,
    /// Descriptions of the GPUs.
    gpus: Vec<String>,
    /// Whether the nodes could be listed.
    is_known: bool,
}

impl Found {
    /// Returns the value for when the nodes cannot be listed: it offers nothing and does not claim that something is
    /// missing.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// Collects the names that the live nodes offer.
    pub fn on(nodes: &[Node]) -> Self {
        let live: Vec<_> = nodes.iter().filter(|node| node.is_live).collect();
        let mut found = Self {
            is_known: true,
            ..Self::default()
        };
        for node in &live {
            found.nodes.insert(node.name.clone());
            found.models.extend(node.models.iter().cloned());
            found
                .models
                .extend(node.servers.iter().filter_map(|server| server.model_name.clone()));
            found
                .engines
                .extend(node.engines.iter().map(|engine| engine.name.clone()));
            found
                .engines
                .extend(node.servers.iter().map(|server| server.name.clone()));
            found.prompt_files.extend(node.prompt_files.iter().cloned());
            let on = if live.len() > 1 {
                format!(" on {}", node.name)
            } else {
                String::new()
            };
            let gpus = node.gpus.iter();
            found
                .gpus
                .extend(gpus.map(|gpu| format!("{} is {} ({}){on}", gpu.index, gpu.name, gpu.uuid)));
        }
        found
    }

    /// Returns the choices for a field; `None` for a field without choices.
    pub fn offered(&self, field: &str) -> Option<Vec<String>> {
        let of = |names: &BTreeSet<String>| names.iter().take(MAX_OFFERED).cloned().collect();
        match field {
            "model_name" => Some(of(&self.models)),
            "engine" => Some(of(&self.engines)),
            "node" => Some(of(&self.nodes)),
            "prompt_source" => Some(of(&self.prompt_files)),
            "quantization" => Some(QUANTIZATIONS.map(str::to_owned).to_vec()),
            _ => None,
        }
    }

    /// Returns a note on a field about what the nodes have.
    pub fn note(&self, field: &str) -> Option<String> {
        match field {
            "gpus" | "model_name" | "engine" if !self.is_known => {
                Some("The nodes cannot be listed at present.".to_owned())
            }
            "gpus" if self.gpus.is_empty() => Some("No GPU was found here.".to_owned()),
            "gpus" => Some(format!("Found here: {}.", self.gpus.join(", "))),
            "model_name" if self.models.is_empty() => Some("No model was found here.".to_owned()),
            "engine" if self.engines.is_empty() => Some(format!(
                "No engine was found here except `{SYNTHETIC_ENGINE}`, for `synthetic:` models."
            )),
            _ => None,
        }
    }
}
