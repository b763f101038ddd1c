//! Facts in a result about the model that was run. The hashes of its files identify it.

use std::path::{Path, PathBuf};

use super::digests::DigestCache;
use crate::scheduler::models::LocatedModel;
use joulemark_experiment::report::ModelFacts;
use joulemark_flops::model_files::{ModelFiles, ModelFormat};

/// Files beside the weights that decide how text becomes tokens and which tokens are generated.
const TEXTS: [&str; 11] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// Returns the facts about a model, including the SHA-256 of its files.
pub async fn facts_of(model: &LocatedModel, digests: &DigestCache) -> ModelFacts {
    let Some(files) = model.files.clone() else {
        return ModelFacts {
            format: None,
            architecture: None,
            parameters_total: None,
            sha256: Vec::new(),
            texts_sha256: Vec::new(),
        };
    };
    let format = match files.format {
        ModelFormat::Gguf => "gguf",
        ModelFormat::Safetensors => "safetensors",
    };
    let texts = texts_of(&files);
    let digests = digests.clone();
    let weights = files.files.clone();
    let hashed = tokio::task::spawn_blocking(move || (digests.compute(&weights), digests.compute(&texts)));
    let (sha256, texts_sha256) = hashed.await.unwrap_or_default();
    ModelFacts {
        format: Some(format.to_owned()),
        architecture: Some(files.architecture),
        parameters_total: files.parameters_total,
        sha256,
        texts_sha256,
    }
}

/// Returns the paths of the files beside a model's weights that affect its tokens. Blocks.
pub fn texts_of(files: &ModelFiles) -> Vec<PathBuf> {
    match files.format {
        // A GGUF file contains them.
        ModelFormat::Gguf => Vec::new(),
        ModelFormat::Safetensors => texts_beside(&files.files),
    }
}

/// Returns the paths of those files that exist.
fn texts_beside(weights: &[PathBuf]) -> Vec<PathBuf> {
    let folder = weights.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let paths = TEXTS.iter().map(|name| folder.join(name));
    paths.filter(|path| path.is_file()).collect()
}
