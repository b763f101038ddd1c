use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{ModelFileError, ResolveError, is_link_loop};
use super::files::ModelFormat;
use super::resolve::{relative, resolve};
use super::{gguf_model, safetensors_model};

/// A model under the models folder, found by the names of its files; headers are not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelEntry {
    /// Value for an experiment's `model_name`: the path of the GGUF (for a split one its first shard) or of the folder,
    /// relative to the models folder.
    pub name: String,
    /// Format of the files; null where `problem` says why it is unknown.
    pub format: Option<ModelFormat>,
    /// Size of the files with weights in bytes; null where it is unknown.
    pub file_bytes: Option<u64>,
    /// Reason why the model cannot be used; null when it can.
    pub problem: Option<String>,
}

/// Maximum depth of folders: those of publishers, models, revisions and of a Hugging Face cache are at most this deep.
const MAX_DEPTH: u32 = 6;

/// Lists every model under the models folder, sorted by name. A folder or model that cannot be used is listed with the
/// reason. Folders whose name begins with a dot are skipped.
///
/// # Errors
/// Returns [`ResolveError::ModelsFolder`] when the models folder cannot be read.
pub fn catalogue(models_dir: &Path) -> Result<Vec<ModelEntry>, ResolveError> {
    let unreadable = |source| ResolveError::ModelsFolder {
        path: models_dir.to_owned(),
        source,
    };
    let root = models_dir.canonicalize().map_err(unreadable)?;
    std::fs::read_dir(&root).map_err(unreadable)?;
    let mut entries = Vec::new();
    collect(&root, &root, MAX_DEPTH, &mut entries);
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

/// Adds the models in a folder, or the folder with the reason why it cannot be read.
fn collect(root: &Path, folder: &Path, depth: u32, entries: &mut Vec<ModelEntry>) {
    if let Err(error) = collect_folder(root, folder, depth, entries) {
        entries.push(unusable(relative(root, folder), error.to_string()));
    }
}

/// Adds the models in a folder and in the folders inside it.
fn collect_folder(root: &Path, folder: &Path, depth: u32, entries: &mut Vec<ModelEntry>) -> Result<(), ModelFileError> {
    if folder.join("config.json").is_file() {
        let files = safetensors_model::weight_files(folder)?;
        if !files.is_empty() {
            entries.push(entry(root, folder, ModelFormat::Safetensors, &files));
        }
    }
    for model in gguf_model::models_in(folder)? {
        entries.push(entry(root, &model, ModelFormat::Gguf, &gguf_model::shards(&model)));
    }
    for child in std::fs::read_dir(folder).map_err(|error| ModelFileError::io(folder, error))? {
        let child = child.map_err(|error| ModelFileError::io(folder, error))?;
        let path = child.path();
        let hidden = child.file_name().to_string_lossy().starts_with('.');
        let kind = std::fs::metadata(&path);
        if let Err(error) = &kind
            && is_link_loop(error)
            && !hidden
        {
            let problem = ModelFileError::LinkLoop { path: path.clone() };
            entries.push(unusable(relative(root, &path), problem.to_string()));
        }
        if hidden || depth == 0 || !kind.is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match path.canonicalize() {
            Ok(target) if folder.canonicalize().is_ok_and(|folder| folder.starts_with(&target)) => {
                let problem = "it is a symbolic link to a folder that it lies in: a loop".to_owned();
                entries.push(unusable(relative(root, &path), problem));
            }
            Ok(target) if target.starts_with(root) => collect(root, &path, depth - 1, entries),
            Ok(_) => {
                let name = relative(root, &path);
                entries.push(unusable(name.clone(), ResolveError::LeavesFolder { name }.to_string()));
            }
            Err(error) => entries.push(unusable(relative(root, &path), error.to_string())),
        }
    }
    Ok(())
}

/// Returns the entry of a model.
fn entry(root: &Path, path: &Path, format: ModelFormat, files: &[PathBuf]) -> ModelEntry {
    let name = relative(root, path);
    let sizes: Result<Vec<u64>, ModelFileError> = files.iter().map(|file| size(file)).collect();
    let resolved = resolve(root, &name);
    let problem = match (&sizes, &resolved) {
        (_, Err(error)) => Some(error.to_string()),
        (Err(error), _) => Some(error.to_string()),
        _ => None,
    };
    let file_bytes = sizes
        .ok()
        .map(|sizes| sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)));
    ModelEntry {
        name,
        format: Some(format),
        file_bytes,
        problem,
    }
}

/// Returns the size of a file in bytes.
fn size(file: &Path) -> Result<u64, ModelFileError> {
    std::fs::metadata(file)
        .map(|metadata| metadata.len())
        .map_err(|error| match ModelFileError::io(file, error) {
            ModelFileError::NotFound { path } => ModelFileError::MissingShard { path },
            other => other,
        })
}

/// Returns the entry of a folder or model that cannot be used.
fn unusable(name: String, problem: String) -> ModelEntry {
    ModelEntry {
        name,
        format: None,
        file_bytes: None,
        problem: Some(problem),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::catalogue;
    use crate::model_files::{ModelFormat, ResolveError, resolve};

    #[test]
    fn models_of_both_kinds_are_listed_by_usable_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("org/model")).unwrap();
        fs::create_dir_all(path(".cache")).unwrap();
        fs::write(path("org/model/config.json"), "{}").unwrap();
        fs::write(path("org/model/model.safetensors"), "12345").unwrap();
        fs::write(path("org/small.gguf"), "123").unwrap();
        fs::write(path("big-00001-of-00002.gguf"), "1").unwrap();
        fs::write(path("big-00002-of-00002.gguf"), "22").unwrap();
        fs::write(path(".cache/hidden.gguf"), "").unwrap();
        fs::write(path("readme.txt"), "").unwrap();
        let entries = catalogue(folder.path()).unwrap();
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.format, entry.file_bytes))
            .collect();
        assert_eq!(
            found,
            [
                ("big-00001-of-00002.gguf", Some(ModelFormat::Gguf), Some(3)),
                ("org/model", Some(ModelFormat::Safetensors), Some(5)),
                ("org/small.gguf", Some(ModelFormat::Gguf), Some(3)),
            ]
        );
        for entry in &entries {
            assert!(
                entry.problem.is_none() && resolve(folder.path(), &entry.name).is_ok(),
                "{entry:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_listed_with_its_reason() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(outside.path(), folder.path().join("elsewhere")).unwrap();
        fs::create_dir(folder.path().join("org")).unwrap();
        symlink("..", folder.path().join("org/up")).unwrap();
        symlink("self", folder.path().join("self")).unwrap();
        fs::write(folder.path().join("a-00002-of-00002.gguf"), "").unwrap();
        let entries = catalogue(folder.path()).unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a-00001-of-00002.gguf", "elsewhere", "org/up", "self"]);
        assert!(
            entries[2..]
                .iter()
                .all(|entry| entry.problem.as_ref().is_some_and(|problem| problem.contains("loop")))
        );
        assert!(entries.iter().all(|entry| entry.problem.is_some()));
    }

    #[test]
    fn a_missing_models_folder_is_an_error_and_not_an_empty_list() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none");
        assert!(matches!(catalogue(&missing), Err(ResolveError::ModelsFolder { .. })));
        assert_eq!(catalogue(folder.path()).unwrap(), []);
    }
}
