use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Host, Model};

/// What a node has, as it tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub hostname: String,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub host: Host,
    /// Models whose files lie there and can be loaded.
    pub models: Vec<OfferedModel>,
    /// Whether it also takes models from the hub.
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
}

/// A model under a node's models folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedModel {
    pub name: String,
    #[serde(flatten)]
    pub facts: Model,
}

impl Offer {
    pub fn model(&self, name: &str) -> Option<&OfferedModel> {
        self.models.iter().find(|model| model.name == name)
    }

    /// Whether it has each of these labels with this value.
    pub fn has_labels(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
