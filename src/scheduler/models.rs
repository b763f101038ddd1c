//! Finds models by name on this node and caches their headers. Leaves loading and running them to the workers.

mod located;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::EngineSettings;
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_experiment::{FieldProblem, OfferedModel};
use joulemark_flops::model_files::{self, Fingerprint};

use joulemark_measurement::quoted;
pub use located::{EngineChoice, LocatedModel, ModelRefusal, ModelSources, is_hub_id};

/// Maximum number of cached names, more than a lab uses in turn. When it is reached, the cache is cleared.
const MAX_NAMES: usize = 256;

/// Cache of located models. Reading a header takes long (a vocabulary may have 100,000 tokens), so it is read once and
/// again only when the model's files change. Clones share the cache.
#[derive(Clone, Debug)]
pub struct Models(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sources: ModelSources,
    seen: Mutex<HashMap<String, (Fingerprint, Arc<LocatedModel>)>>,
}

impl Models {
    /// Creates an empty cache.
    pub fn new(sources: ModelSources) -> Self {
        Self(Arc::new(Shared {
            sources,
            seen: Mutex::default(),
        }))
    }

    /// Returns the folder that holds the models.
    pub fn folder(&self) -> &Path {
        &self.0.sources.folder
    }

    /// Returns whether the models folder has a model of this name. Blocks on the file system.
    pub fn has(&self, name: &str) -> bool {
        model_files::resolve(self.folder(), name).is_ok()
    }

    /// Finds a model by name. Blocks on the file system. Errors are not cached, since their cause may be removed.
    ///
    /// # Errors
    /// Returns a `ModelRefusal`.
    pub fn locate(&self, name: &str) -> Result<Arc<LocatedModel>, ModelRefusal> {
        let Shared { sources, seen } = &*self.0;
        if name.starts_with(SYNTHETIC_PREFIX) {
            return sources.locate(name).map(Arc::new);
        }
        // Taken before the files are read, so that a change during the read is noticed the next time.
        let resolved = model_files::resolve(&sources.folder, name).ok();
        let fingerprint = resolved.and_then(|path| model_files::fingerprint(&path).ok());
        let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fingerprint) = &fingerprint
            && let Some((known, located)) = seen().get(name)
            && known == fingerprint
        {
            return Ok(Arc::clone(located));
        }
        let located = Arc::new(sources.locate(name)?);
        if let Some(fingerprint) = fingerprint {
            let mut seen = seen();
            if seen.len() >= MAX_NAMES {
                seen.clear();
            }
            seen.insert(name.to_owned(), (fingerprint, Arc::clone(&located)));
        }
        Ok(located)
    }

    /// Finds a model for the given server, without the cache; without a server, does the same as [`Models::locate`].
    /// Blocks on the file system.
    ///
    /// # Errors
    /// Returns a `ModelRefusal`.
    pub fn locate_for(&self, server: Option<&EngineSettings>, name: &str) -> Result<Arc<LocatedModel>, ModelRefusal> {
        match server {
            Some(server) => self.0.sources.locate_for_server(server, name).map(Arc::new),
            None => self.locate(name),
        }
    }

    /// Lists the loadable models in the models folder, to publish them to other nodes. Blocks on the file system.
    pub fn offered(&self) -> Vec<OfferedModel> {
        let entries = model_files::catalogue(self.folder()).unwrap_or_default();
        let usable = entries.into_iter().filter(|entry| entry.problem.is_none());
        let offered = usable.filter_map(|entry| {
            let located = self.locate(&entry.name).ok()?;
            Some(OfferedModel {
                name: entry.name,
                facts: located.facts(),
            })
        });
        offered.collect()
    }

    /// Returns a problem when the name is only on the Hugging Face hub and `hub_allow` does not list it. Blocks on the
    /// file system.
    pub fn refused_from_hub(&self, name: &str) -> Option<FieldProblem> {
        let sources = &self.0.sources;
        let may_be_had = name.starts_with(SYNTHETIC_PREFIX) || !is_hub_id(name) || sources.allows_from_hub(name);
        if may_be_had || self.has(name) {
            return None;
        }
        let list = sources.hub_allow.join(", ");
        let detail = format!(
            "is {name}, which this server may not fetch from the Hugging Face hub; accepted are {list} (hub_allow)",
            name = quoted(&name)
        );
        Some(FieldProblem::new("/model_name", detail))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    /// Writes the smallest model that can be opened.
    fn write_model(folder: &Path, max_context_tokens: u32) {
        std::fs::create_dir_all(folder).unwrap();
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 4,
            "intermediate_size": 8, "vocab_size": 10, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": true,
            "max_position_embeddings": max_context_tokens,
        });
        let tensor = json!({"model.embed_tokens.weight": {"dtype": "BF16", "shape": [10, 4], "data_offsets": [0, 80]}});
        let header = tensor.to_string();
        let weights = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 80]].concat();
        std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
        std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
        std::fs::write(folder.join("model.safetensors"), weights).unwrap();
    }

    fn models_in(folder: PathBuf) -> Models {
        Models::new(ModelSources {
            folder,
            allow_hub: false,
            hub_allow: Vec::new(),
            allow_synthetic: false,
        })
    }

    #[test]
    fn headers_are_read_once_until_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let models = models_in(folder.path().to_owned());
        write_model(&folder.path().join("m"), 64);
        let first = models.locate("m").unwrap();
        assert!(Arc::ptr_eq(&first, &models.locate("m").unwrap()));
        write_model(&folder.path().join("m"), 128);
        assert_eq!(first.facts().max_context_tokens, Some(64));
        assert_eq!(models.locate("m").unwrap().facts().max_context_tokens, Some(128));
        std::fs::remove_dir_all(folder.path().join("m")).unwrap();
        assert!(matches!(models.locate("m"), Err(ModelRefusal::Unknown { .. })));
    }

    #[test]
    fn a_refusal_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let models = models_in(folder.path().to_owned());
        assert!(matches!(models.locate("m"), Err(ModelRefusal::Unknown { .. })));
        write_model(&folder.path().join("m"), 64);
        assert!(models.locate("m").is_ok());
        let synthetic = models.locate("synthetic:");
        assert!(matches!(synthetic, Err(ModelRefusal::SyntheticForbidden { .. })));
    }
}
