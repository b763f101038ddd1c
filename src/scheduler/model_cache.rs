use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::models::{LocatedModel, ModelRefusal, locate};
use crate::synthetic::SYNTHETIC_PREFIX;
use joulemark_flops::model_files::{self, Fingerprint};

/// More names than a lab submits in turn; beyond them the cache starts anew.
const MAX_NAMES: usize = 256;

/// Finds models for submissions and reads their headers once, not with every submission: a vocabulary of 100,000 tokens
/// takes longer to read than all the rest. A model whose files changed since is read again.
#[derive(Clone, Debug)]
pub struct ModelCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    models_dir: PathBuf,
    allow_hub: bool,
    allow_synthetic: bool,
    seen: Mutex<HashMap<String, (Fingerprint, Arc<LocatedModel>)>>,
}

impl ModelCache {
    pub fn new(models_dir: PathBuf, allow_hub: bool, allow_synthetic: bool) -> Self {
        Self(Arc::new(Shared {
            models_dir,
            allow_hub,
            allow_synthetic,
            seen: Mutex::default(),
        }))
    }

    /// The folder that holds the models.
    pub fn folder(&self) -> &Path {
        &self.0.models_dir
    }

    /// As `locate`; refusals are not kept, since their cause may be mended.
    ///
    /// # Errors
    /// [`ModelRefusal`].
    pub fn locate(&self, name: &str) -> Result<Arc<LocatedModel>, ModelRefusal> {
        let Shared {
            models_dir,
            allow_hub,
            allow_synthetic,
            seen,
        } = &*self.0;
        if name.starts_with(SYNTHETIC_PREFIX) {
            return locate(models_dir, name, *allow_hub, *allow_synthetic).map(Arc::new);
        }
        // Looked at before the files are read: what changes meanwhile is read again the next time.
        let resolved = model_files::resolve(models_dir, name).ok();
        let fingerprint = resolved.and_then(|path| model_files::fingerprint(&path).ok());
        let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fingerprint) = &fingerprint
            && let Some((known, located)) = seen().get(name)
            && known == fingerprint
        {
            return Ok(Arc::clone(located));
        }
        let located = Arc::new(locate(models_dir, name, *allow_hub, *allow_synthetic)?);
        if let Some(fingerprint) = fingerprint {
            let mut seen = seen();
            if seen.len() >= MAX_NAMES {
                seen.clear();
            }
            seen.insert(name.to_owned(), (fingerprint, Arc::clone(&located)));
        }
        Ok(located)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A folder with as little in it as can be loaded.
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

    #[test]
    fn headers_are_read_once_until_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(folder.path().to_owned(), false, false);
        write_model(&folder.path().join("m"), 64);
        let first = cache.locate("m").unwrap();
        assert!(Arc::ptr_eq(&first, &cache.locate("m").unwrap()));
        write_model(&folder.path().join("m"), 128);
        assert_eq!(first.facts().max_context_tokens, Some(64));
        assert_eq!(cache.locate("m").unwrap().facts().max_context_tokens, Some(128));
        std::fs::remove_dir_all(folder.path().join("m")).unwrap();
        assert!(matches!(cache.locate("m"), Err(ModelRefusal::Unknown { .. })));
    }

    #[test]
    fn a_refusal_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ModelCache::new(folder.path().to_owned(), false, false);
        assert!(matches!(cache.locate("m"), Err(ModelRefusal::Unknown { .. })));
        write_model(&folder.path().join("m"), 64);
        assert!(cache.locate("m").is_ok());
        let synthetic = cache.locate("synthetic:");
        assert!(matches!(synthetic, Err(ModelRefusal::SyntheticForbidden { .. })));
    }
}
