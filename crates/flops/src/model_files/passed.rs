//! Tells which model a path means that names one file of it.

use std::path::{Path, PathBuf};

use super::error::ModelFileError;
use super::pickles::{is_beside_weights, is_pickle};
use super::safetensors_model;

/// What a path names.
#[derive(Debug)]
pub(super) enum Passed {
    /// A `config.json`, by whatever name.
    Config(PathBuf),
    /// A folder, a GGUF, or what only its reader can tell.
    Model(PathBuf),
}

/// Finds what `path` means: a folder's `model.safetensors`, `pytorch_model.bin` or index is the folder.
///
/// # Errors
/// Returns [`ModelFileError::NotAFile`] for a pipe, a socket or a device, and [`ModelFileError::PassInstead`] for a file
/// beside which the model cannot be found.
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
        let what = "a configuration in Mistral's or Meta's own words, which are not read";
        return Err(instead(
            path,
            what,
            "the config.json of the same model or its folder".to_owned(),
        ));
    }
    if name.starts_with("adapter_model.") {
        let what = "an adapter, which is no model without the one that it adapts";
        return Err(instead(path, what, "that model".to_owned()));
    }
    if is_pickle(&name) && is_beside_weights(&name) {
        let what = "a state of the training, which holds no model";
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
        (true, _) => "an index of weights alone",
        (false, true) => "a file of weights alone, in PyTorch's own format, which is not read",
        (false, false) => "a file of weights alone",
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
            "a folder that has config.json beside it".to_owned(),
        ));
    }
    // The size of pickles tells something beside config.json.
    let is_of_folder = is_index
        || is_of_pickles
        || safetensors_model::weight_files(folder)?.contains(&folder.join(path.file_name().unwrap_or_default()));
    if !is_of_folder {
        return Err(instead(
            path,
            "not among the files that its folder's model is in",
            format!("{}", folder.display()),
        ));
    }
    Ok(Passed::Model(folder.to_owned()))
}

fn instead(path: &Path, what: &'static str, instead: String) -> ModelFileError {
    ModelFileError::PassInstead {
        path: path.to_owned(),
        what,
        instead,
    }
}
