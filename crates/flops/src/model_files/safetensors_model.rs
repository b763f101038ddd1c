use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::config::{read_json, stated_bits, text_part};
use super::error::ModelFileError;
use super::files::{ModelFiles, ModelFormat, walk};
use super::{loadable, parameters, safetensors};
use crate::{Naming, from_config_json};

const INDEX: &str = "model.safetensors.index.json";

/// Opens a folder with `config.json` and safetensors.
pub(super) fn open(folder: &Path) -> Result<ModelFiles, ModelFileError> {
    let config = read_json(&folder.join("config.json"))?;
    let files = weight_files(folder)?;
    let mut file_bytes: u64 = 0;
    let mut tensors = Vec::new();
    for path in &files {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| match ModelFileError::io(path, error) {
            ModelFileError::NotFound { path } => ModelFileError::MissingShard { path },
            other => other,
        })?;
        file_bytes = file_bytes.saturating_add(bytes);
        tensors.extend(safetensors::read_header(file, bytes).map_err(|error| error.at(path))?);
    }
    let shape = from_config_json(&config);
    let text = text_part(&config);
    let known = shape.as_ref().ok();
    let count = |names: [&str; 2]| names.iter().find_map(|name| text.get(*name).and_then(Value::as_u64));
    let tied = known.map_or_else(|| flag(&config, "tie_word_embeddings"), |shape| shape.tied());
    let by_shape = || known.and_then(|shape| u64::try_from(shape.parameters_total()).ok());
    let (walk, traced) = walk(&shape, Naming::HuggingFace, &tensors);
    let parameters_total = traced.or_else(|| parameters::count(&tensors, tied)).or_else(by_shape);
    Ok(ModelFiles {
        format: ModelFormat::Safetensors,
        architecture: config
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned(),
        max_context_tokens: count(["max_position_embeddings", "n_positions"]),
        vocab_size: known
            .map(|shape| shape.vocab_size())
            .or_else(|| text.get("vocab_size").and_then(Value::as_u64)),
        has_tokenizer: loadable::has_tokenizer(folder),
        has_chat_template: has_chat_template(folder),
        has_rope_theta: text.get("rope_theta").is_some_and(Value::is_number),
        parameters_total,
        quantization: quantization(&config)
            .or_else(|| parameters::prevailing_type(&tensors).map(str::to_owned))
            .unwrap_or_else(|| "none".to_owned()),
        stated_bits: stated_bits(&config),
        walk,
        loadable_problems: loadable::of_safetensors(&config, folder, &files),
        shape,
        tensors,
        files,
        file_bytes,
    })
}

/// The files with a folder's weights: what the index lists, else `model.safetensors`, else every safetensors file;
/// empty without any. So a second copy (Mistral's `consolidated.safetensors`) is not counted twice.
pub(super) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, ModelFileError> {
    if folder.join(INDEX).is_file() {
        return indexed_files(folder);
    }
    if folder.join("model.safetensors").is_file() {
        return Ok(vec![folder.join("model.safetensors")]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| ModelFileError::io(folder, error))? {
        let path = entry.map_err(|error| ModelFileError::io(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn indexed_files(folder: &Path) -> Result<Vec<PathBuf>, ModelFileError> {
    let path = folder.join(INDEX);
    let index = read_json(&path)?;
    let Some(map) = index
        .get("weight_map")
        .and_then(Value::as_object)
        .filter(|map| !map.is_empty())
    else {
        return Err(ModelFileError::malformed(&path, "it has no weight_map"));
    };
    let mut names = BTreeSet::new();
    for name in map.values() {
        let name = name.as_str().unwrap_or_default();
        let is_plain = matches!(
            Path::new(name).components().collect::<Vec<_>>()[..],
            [Component::Normal(_)]
        );
        if !is_plain {
            return Err(ModelFileError::malformed(
                &path,
                format!("`{name}` is not the name of a file beside it"),
            ));
        }
        names.insert(name);
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

fn has_chat_template(folder: &Path) -> bool {
    let files = ["chat_template.jinja", "chat_template.json"];
    let in_tokenizer = || {
        let config = read_json(&folder.join("tokenizer_config.json")).ok();
        config.is_some_and(|config| config.get("chat_template").is_some_and(|template| !template.is_null()))
    };
    files.iter().any(|name| folder.join(name).is_file()) || in_tokenizer()
}

fn quantization(config: &Value) -> Option<String> {
    let quantization = config
        .get("quantization_config")
        .or_else(|| config.get("quantization"))?
        .as_object()?;
    let method = quantization
        .get("quant_method")
        .and_then(Value::as_str)
        .unwrap_or("quantized");
    Some(match quantization.get("bits").and_then(Value::as_u64) {
        Some(bits) => format!("{method} {bits}-bit"),
        None => method.to_owned(),
    })
}

fn flag(config: &Value, name: &str) -> bool {
    config.get(name).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests;
