use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::config::{max_context_tokens, packing, quantization, read_json, read_part, stated_bits, text_part};
use super::config_text::{Index, TokenizerConfig};
use super::error::ModelFileError;
use super::files::{ModelFiles, ModelFormat, walk};
use super::gguf_model::split_name;
use super::read::{is_there, named, open_shard};
use super::undescribed::Facts;
use super::{loadable, parameters, safetensors, whole};
use crate::{Naming, from_config_json};

const INDEX: &str = "model.safetensors.index.json";

/// Opens a folder with `config.json` and safetensors.
pub(super) fn open(folder: &Path) -> Result<ModelFiles, ModelFileError> {
    let config = read_json(&folder.join("config.json"))?;
    let files = weight_files(folder)?;
    let mut file_bytes: u64 = 0;
    let mut tensors = Vec::new();
    for path in &files {
        let (file, bytes) = open_shard(path)?;
        file_bytes = file_bytes.saturating_add(bytes);
        let read = safetensors::read_header(file, bytes);
        tensors.extend(read.map_err(|error| named(error.at(path)))?);
    }
    let shape = from_config_json(&config).map(|shape| shape.fitted_to(&tensors));
    let text = text_part(&config);
    let (walk, traced) = walk(&shape, Naming::HuggingFace, &tensors);
    let shape = shape.map(|shape| walk.as_ref().map_or(shape, |walk| walk.shape().clone()));
    let known = shape.as_ref().ok();
    let tied = known.map_or_else(|| flag(&config, "tie_word_embeddings"), |shape| shape.tied());
    let by_shape = || known.and_then(|shape| u64::try_from(shape.parameters_total()).ok());
    let counted = match traced {
        Some(_) => None,
        None => Facts::of_config(&config, tied).count(&tensors),
    };
    let by_tensors = counted.as_ref().map(|counted| counted.total);
    let parameters_total = traced.or(by_tensors).or_else(by_shape);
    let not_whole = whole::of_tensors(&tensors);
    Ok(ModelFiles {
        format: ModelFormat::Safetensors,
        architecture: config
            .get("model_type")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned(),
        max_context_tokens: max_context_tokens(&config),
        vocab_size: known
            .map(|shape| shape.vocab_size())
            .or_else(|| text.get("vocab_size").and_then(Value::as_u64)),
        has_tokenizer: loadable::has_tokenizer(folder),
        has_chat_template: has_chat_template(folder),
        has_rope_theta: text.get("rope_theta").is_some_and(Value::is_number),
        parameters_total,
        quantization: method_of_quantization(&config)
            .or_else(|| parameters::prevailing_type(&tensors).map(str::to_owned))
            .unwrap_or_else(|| "none".to_owned()),
        stated_bits: stated_bits(&config),
        walk,
        loadable_problems: not_whole
            .iter()
            .cloned()
            .chain(loadable::of_safetensors(&config, known, folder, &files))
            .collect(),
        not_whole,
        is_quantized: quantization(&config).is_some() || folder.join("hf_quant_config.json").exists(),
        counted,
        shape,
        tensors,
        files,
        file_bytes,
    })
}

/// Returns the files with a folder's weights: those in the index, else `model.safetensors`, else the shards by their
/// names, else every safetensors file; empty without any. A second copy (Mistral's `consolidated.safetensors`) is
/// therefore not counted twice. A shard that the names of others imply is included even if it is missing.
pub(super) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, ModelFileError> {
    if is_there(&folder.join(INDEX))? {
        return indexed_files(folder);
    }
    if is_there(&folder.join("model.safetensors"))? {
        return Ok(vec![folder.join("model.safetensors")]);
    }
    let mut files = BTreeSet::new();
    let mut shards = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|error| ModelFileError::io(folder, error))? {
        let path = entry.map_err(|error| ModelFileError::io(folder, error))?.path();
        if path.extension().is_none_or(|extension| extension != "safetensors") || path.is_dir() {
            continue;
        }
        match path
            .file_name()
            .and_then(|name| split_name(name.to_str()?, ".safetensors"))
        {
            Some((stem, count)) => shards
                .extend((1..=count).map(|index| folder.join(format!("{stem}-{index:05}-of-{count:05}.safetensors")))),
            None => drop(files.insert(path)),
        }
    }
    let weights = if shards.is_empty() { files } else { shards };
    Ok(weights.into_iter().collect())
}

/// Returns the files that the index names.
fn indexed_files(folder: &Path) -> Result<Vec<PathBuf>, ModelFileError> {
    let path = folder.join(INDEX);
    let index: Index = read_part(&path)?;
    if index.files.is_empty() {
        return Err(ModelFileError::malformed(&path, "it has no weight_map"));
    }
    for name in &index.files {
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
    }
    Ok(index.files.into_iter().map(|name| folder.join(name)).collect())
}

/// Returns whether a folder has a chat template.
fn has_chat_template(folder: &Path) -> bool {
    let files = ["chat_template.jinja", "chat_template.json"];
    let in_tokenizer = || {
        let config = read_part::<TokenizerConfig>(&folder.join("tokenizer_config.json"));
        config.is_ok_and(|config| config.chat_template)
    };
    files.iter().any(|name| folder.join(name).is_file()) || in_tokenizer()
}

/// Returns the quantization method with its bits, such as `gptq 4-bit`; `None` without a quantization.
fn method_of_quantization(config: &Value) -> Option<String> {
    let quantization = quantization(config)?;
    let method = quantization
        .get("quant_method")
        .and_then(Value::as_str)
        .unwrap_or("quantized");
    let stated = quantization.get("bits").and_then(Value::as_u64);
    let bits = stated.or_else(|| packing(config).bits.filter(|_| method == "hqq"));
    Some(match bits {
        Some(bits) => format!("{method} {bits}-bit"),
        None => method.to_owned(),
    })
}

/// Returns a flag of the configuration; false where it is missing.
fn flag(config: &Value, name: &str) -> bool {
    config.get(name).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests;
