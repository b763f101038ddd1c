use std::collections::BTreeSet;

use crate::http::nodes::Node;
use joulemark_experiment::{QUANTIZATIONS, SYNTHETIC_ENGINE};

/// Offered of one kind: more would make the page large, and nobody would look through them.
const MAX_OFFERED: usize = 500;

/// What the live nodes have that a submission may name.
#[derive(Debug, Default)]
pub struct Found {
    models: BTreeSet<String>,
    engines: BTreeSet<String>,
    nodes: BTreeSet<String>,
    prompt_files: BTreeSet<String>,
    /// Each GPU in words, by node.
    gpus: Vec<String>,
    /// Whether the nodes could be looked at.
    is_known: bool,
}

impl Found {
    /// Returns what is said where the nodes cannot be looked at: nothing is offered, and nothing is said to be missing.
    pub fn unknown() -> Self {
        Self::default()
    }

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

    /// Returns what may stand in a field by what was found; `None` of a field that takes other things.
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

    /// Returns what else is to be known of a field here.
    pub fn note(&self, field: &str) -> Option<String> {
        match field {
            "gpus" | "model_name" | "engine" if !self.is_known => {
                Some("What is found here cannot be looked up just now.".to_owned())
            }
            "gpus" if self.gpus.is_empty() => Some("No GPU is found here.".to_owned()),
            "gpus" => Some(format!("Found here: {}.", self.gpus.join(", "))),
            "model_name" if self.models.is_empty() => Some("No model is found here.".to_owned()),
            "engine" if self.engines.is_empty() => Some(format!(
                "No engine is found here but that of `synthetic:` models, `{SYNTHETIC_ENGINE}`."
            )),
            _ => None,
        }
    }
}
