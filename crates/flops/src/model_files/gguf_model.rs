use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::config::extended;
use super::error::ModelFileError;
use super::files::{ModelFiles, ModelFormat, walk};
use super::gguf::{self, GgufHeader};
use super::read::{named, open_shard};
use super::undescribed::Facts;
use super::{loadable, parameters, whole};
use crate::{MetadataValue, Naming, from_gguf_metadata};

/// Opens a GGUF model by one of its files.
pub(super) fn open(path: &Path) -> Result<ModelFiles, ModelFileError> {
    let files = shards(path);
    let mut file_bytes: u64 = 0;
    let mut metadata = BTreeMap::new();
    let mut tensors = Vec::new();
    let mut names = BTreeSet::new();
    for file in &files {
        let (header, bytes) = read_file(file)?;
        file_bytes = file_bytes.saturating_add(bytes);
        for (key, value) in header.metadata {
            metadata.entry(key).or_insert(value);
        }
        for tensor in header.tensors {
            if !names.insert(tensor.name.clone()) {
                let reason = format!("it holds the tensor `{}` of another shard again", tensor.name);
                return Err(ModelFileError::malformed(file, reason));
            }
            tensors.push(tensor);
        }
    }
    let architecture = metadata.get("general.architecture").and_then(MetadataValue::as_text);
    let Some(architecture) = architecture.map(str::to_owned) else {
        return Err(ModelFileError::malformed(path, "it does not name its architecture"));
    };
    let shape = from_gguf_metadata(&metadata, &tensors);
    let count = |key: &str| {
        metadata
            .get(&format!("{architecture}.{key}"))
            .and_then(MetadataValue::as_count)
    };
    // Only a traced GPT-2 distinguishes its repeated embedding from a separate head.
    let (walk, traced) = walk(&shape, Naming::Gguf, &tensors);
    let counted = match traced {
        Some(_) => None,
        None => Facts::of_gguf(&architecture, &metadata).count(&tensors),
    };
    let not_whole = whole::of_gguf(&metadata, &tensors, files.len());
    let vocabulary = metadata.get("tokenizer.ggml.tokens").and_then(MetadataValue::list_len);
    Ok(ModelFiles {
        format: ModelFormat::Gguf,
        max_context_tokens: max_context_tokens(&architecture, &metadata),
        vocab_size: shape
            .as_ref()
            .ok()
            .map(|shape| shape.vocab_size())
            .or(count("vocab_size"))
            .or(vocabulary),
        has_tokenizer: metadata.contains_key("tokenizer.ggml.model") && vocabulary.is_some(),
        has_chat_template: metadata.contains_key("tokenizer.chat_template"),
        has_rope_theta: metadata.contains_key(&format!("{architecture}.rope.freq_base")),
        parameters_total: traced.or(counted.as_ref().map(|counted| counted.total)),
        quantization: parameters::prevailing_type(&tensors).unwrap_or("none").to_owned(),
        stated_bits: None,
        walk,
        loadable_problems: not_whole
            .iter()
            .cloned()
            .chain(loadable::of_gguf(&architecture, &metadata, &tensors))
            .chain(loadable::of_head(shape.as_ref().ok()))
            .collect(),
        not_whole,
        is_quantized: false,
        counted,
        architecture,
        shape,
        tensors,
        files,
        file_bytes,
    })
}

/// Returns the longest context in tokens: the context's length, or the number of tokens to which YaRN extends it.
fn max_context_tokens(architecture: &str, metadata: &BTreeMap<String, MetadataValue>) -> Option<u64> {
    let value = |key: &str| metadata.get(&format!("{architecture}.{key}"));
    let count = |key: &str| value(key).and_then(MetadataValue::as_count);
    let length = count("context_length")?;
    let is_yarn = value("rope.scaling.type").and_then(MetadataValue::as_text) == Some("yarn");
    let factor = match value("rope.scaling.factor") {
        Some(MetadataValue::Float(factor)) if is_yarn => Some(*factor),
        _ => None,
    };
    let original = count("rope.scaling.original_context_length").unwrap_or(length);
    Some(extended(length, factor, original as f64))
}

/// Returns the only GGUF model of a folder, by its first file; an error where there is none or several.
pub(super) fn only_model_in(folder: &Path) -> Result<PathBuf, ModelFileError> {
    let mut models = models_in(folder)?;
    match models.len() {
        0 => Err(ModelFileError::NotAModel {
            path: folder.to_owned(),
        }),
        1 => Ok(models.remove(0)),
        _ => {
            let names = models
                .iter()
                .filter_map(|path| path.file_name())
                .map(|name| name.to_string_lossy().into());
            Err(ModelFileError::Ambiguous {
                path: folder.to_owned(),
                names: names.collect(),
            })
        }
    }
}

/// Returns the GGUF models of a folder, each by its first file, sorted.
pub(super) fn models_in(folder: &Path) -> Result<Vec<PathBuf>, ModelFileError> {
    let mut models = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|error| ModelFileError::io(folder, error))? {
        let path = entry.map_err(|error| ModelFileError::io(folder, error))?.path();
        let is_gguf = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        if is_gguf && path.is_file() {
            models.insert(shards(&path).swap_remove(0));
        }
    }
    if models.len() > 1 {
        models.retain(|path| !is_projector(path));
    }
    Ok(models.into_iter().collect())
}

/// Returns whether a file has the name of a multimodal model's projector, which is stored next to the text model.
fn is_projector(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.to_ascii_lowercase().starts_with("mmproj")
}

/// Returns all files of the model that `path` belongs to: `name-00001-of-00003.gguf` and its other shards, or only
/// itself.
pub(super) fn shards(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| split_name(name, ".gguf")) {
        Some((stem, count)) => (1..=count)
            .map(|index| path.with_file_name(format!("{stem}-{index:05}-of-{count:05}.gguf")))
            .collect(),
        None => vec![path.to_owned()],
    }
}

/// Splits a shard's name, such as `name-00001-of-00003` with the ending, into its stem and the number of shards; `None`
/// for other names.
pub(super) fn split_name<'a>(name: &'a str, ending: &str) -> Option<(&'a str, u32)> {
    let (rest, count) = name.strip_suffix(ending)?.rsplit_once("-of-")?;
    let (stem, index) = rest.rsplit_once('-')?;
    let five_digits = |text: &str| (text.len() == 5).then(|| text.parse::<u32>().ok()).flatten();
    let (index, count) = (five_digits(index)?, five_digits(count)?);
    (1..=count).contains(&index).then_some((stem, count))
}

/// Reads the header of a file, and its size in bytes.
fn read_file(path: &Path) -> Result<(GgufHeader, u64), ModelFileError> {
    let (file, bytes) = open_shard(path)?;
    gguf::read_header(file, bytes)
        .map(|header| (header, bytes))
        .map_err(|error| named(error.at(path)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{only_model_in, open, shards};
    use crate::model_files::ModelFileError;

    #[test]
    fn shards_are_found_by_their_names() {
        let found = shards(Path::new("/m/big-Q4-00002-of-00003.gguf"));
        assert_eq!(found[0], Path::new("/m/big-Q4-00001-of-00003.gguf"));
        assert_eq!(found.len(), 3);
        for alone in [
            "/m/a.gguf",
            "/m/a-00004-of-00003.gguf",
            "/m/a-1-of-3.gguf",
            "/m/-of-.gguf",
        ] {
            assert_eq!(shards(Path::new(alone)), [Path::new(alone)]);
        }
    }

    #[test]
    fn a_folder_with_two_models_asks_which() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            only_model_in(folder.path()),
            Err(ModelFileError::NotAModel { .. })
        ));
        std::fs::write(folder.path().join("a.gguf"), "").unwrap();
        assert_eq!(only_model_in(folder.path()).unwrap(), folder.path().join("a.gguf"));
        std::fs::write(folder.path().join("b-00002-of-00002.gguf"), "").unwrap();
        let error = only_model_in(folder.path()).unwrap_err();
        assert!(matches!(error, ModelFileError::Ambiguous { names, .. } if names.len() == 2));
    }

    #[test]
    fn a_missing_shard_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b-00002-of-00002.gguf");
        std::fs::write(&path, "").unwrap();
        let error = open(&path).unwrap_err();
        assert!(
            error.to_string().contains("b-00001-of-00002.gguf is missing"),
            "{error}"
        );
    }
}
