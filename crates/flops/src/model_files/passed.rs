//! Interpretation of a path that a user passed, which may name one file of a model.

use std::path::{Path, PathBuf};

use super::error::ModelFileError;
use super::pickles::{is_beside_weights, is_pickle};
use super::safetensors_model;

/// Meaning of a path.
#[derive(Debug)]
pub(super) enum Passed {
    /// A `config.json`, whatever its name.
    Config(PathBuf),
    /// A folder, a GGUF, or a file that only its reader can recognise.
    Model(PathBuf),
}

/// Returns what `path` means: `model.safetensors`, `pytorch_model.bin` or an index means its folder.
///
/// # Errors
/// Returns [`ModelFileError::NotAFile`] for a pipe, a socket or a device, and [`ModelFileError::PassInstead`] for a
/// file whose model cannot be found.
pub(super) fn passed(path: &Path) -> Result<Passed, ModelFileError> {
    let kind = std::fs::metadata(path).map_err(|error| ModelFileError::io(path, error))?;
    if kind.is_dir() {
        return Ok(Passed::Model(path.to_owned()));
    }
    if !kind.is_file() {
        return Err(ModelFileError::NotAFile { path: path.to_owned() });
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    if name == "params.json" {
        let what = "a configuration in Mistral's or Meta's own format, which is not read";
        return Err(instead(
            path,
            what,
            "the config.json of the same model or its folder".to_owned(),
        ));
    }
    if name.starts_with("adapter_model.") {
        let what = "an adapter without its base model";
        return Err(instead(path, what, "the base model".to_owned()));
    }
    if is_pickle(&name) && is_beside_weights(&name) {
        let what = "a training state, which contains no model";
        return Err(instead(
            path,
            what,
            "the folder with config.json and the weights".to_owned(),
        ));
    }
    let is_of_pickles = is_pickle(&name) || name.ends_with(".bin.index.json");
    let is_index = name.ends_with(".index.json");
    if !is_of_pickles && !is_index && !name.ends_with(".safetensors") {
        let is_json = name.ends_with(".json");
        let path = path.to_owned();
        return Ok(if is_json {
            Passed::Config(path)
        } else {
            Passed::Model(path)
        });
    }
    let what = match (is_index, is_of_pickles) {
        (true, _) => "only an index of weights",
        (false, true) => "only a file of weights, in PyTorch's own format, which is not read",
        (false, false) => "only a file of weights",
    };
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    if !folder.join("config.json").exists() {
        return Err(instead(
            path,
            what,
            "a folder that contains config.json as well".to_owned(),
        ));
    }
    // With config.json the size of pickles can be used.
    let is_of_folder = is_index
        || is_of_pickles
        || safetensors_model::weight_files(folder)?.contains(&folder.join(path.file_name().unwrap_or_default()));
    if !is_of_folder {
        return Err(instead(
            path,
            "not one of the files of its folder's model",
            format!("{}", folder.display()),
        ));
    }
    Ok(Passed::Model(folder.to_owned()))
}

/// Creates a [`ModelFileError::PassInstead`].
fn instead(path: &Path, what: &'static str, instead: String) -> ModelFileError {
    ModelFileError::PassInstead {
        path: path.to_owned(),
        what,
        instead,
    }
}
