use std::io;
use std::path::{Component, Path, PathBuf};

use super::error::{ResolveError, is_link_loop};
use super::gguf_model;

/// Returns the path of the model `name` under the models folder, without opening it. The name is a relative path.
/// Neither its target nor a shard or a file of its folder may be outside the models folder.
///
/// # Errors
/// Returns a [`ResolveError`]. All variants except `Io` and `ModelsFolder` mean that the name is wrong.
pub fn resolve(models_dir: &Path, name: &str) -> Result<PathBuf, ResolveError> {
    if name.is_empty() || name.contains('\0') {
        return Err(ResolveError::Unusable);
    }
    for component in Path::new(name).components() {
        match component {
            Component::Normal(_) | Component::CurDir => {}
            Component::ParentDir => return Err(ResolveError::ParentFolder { name: name.to_owned() }),
            Component::RootDir | Component::Prefix(_) => return Err(ResolveError::Absolute { name: name.to_owned() }),
        }
    }
    let root = models_dir.canonicalize().map_err(|source| ResolveError::ModelsFolder {
        path: models_dir.to_owned(),
        source,
    })?;
    // This is the path as named, not its target: in a Hugging Face cache the target's name has no `.gguf`.
    let path = root.join(name);
    stays_inside(&root, &path).map_err(|fault| fault.name(name))?;
    for part in parts(&path).map_err(|source| ResolveError::Io {
        name: name.to_owned(),
        source,
    })? {
        match stays_inside(&root, &part) {
            Err(Fault::Leaves) => {
                return Err(ResolveError::LeavesFolder {
                    name: relative(&root, &part),
                });
            }
            Err(Fault::NoFile) => {
                return Err(ResolveError::NotAFile {
                    name: relative(&root, &part),
                });
            }
            // The readers of the files report missing and unreadable parts.
            Ok(()) | Err(Fault::Io(_)) => {}
        }
    }
    Ok(path)
}

/// Returns the name of a path under the models folder, with `/` between folders; `.` for the folder itself.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
    if inside.is_empty() {
        ".".to_owned()
    } else {
        inside.into_owned()
    }
}

/// Reason why a path cannot be used.
enum Fault {
    Leaves,
    /// A pipe or a device, which may never end.
    NoFile,
    Io(io::Error),
}

impl Fault {
    /// Returns the error for the model `name`.
    fn name(self, name: &str) -> ResolveError {
        let name = name.to_owned();
        match self {
            Self::Leaves => ResolveError::LeavesFolder { name },
            Self::NoFile => ResolveError::NotAFile { name },
            Self::Io(source) => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
                    ResolveError::NotFound { name }
                }
                _ if is_link_loop(&source) => ResolveError::LinkLoop { name },
                _ => ResolveError::Io { name, source },
            },
        }
    }
}

/// Returns an error unless the path leads to a file or a folder inside `root`.
fn stays_inside(root: &Path, path: &Path) -> Result<(), Fault> {
    let target = path.canonicalize().map_err(Fault::Io)?;
    if !target.starts_with(root) {
        return Err(Fault::Leaves);
    }
    let kind = target.metadata().map_err(Fault::Io)?.file_type();
    if kind.is_file() || kind.is_dir() {
        Ok(())
    } else {
        Err(Fault::NoFile)
    }
}

/// Returns the files that a model consists of: its shards, or all files in its folder.
pub(super) fn parts(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_dir() {
        return std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    }
    Ok(gguf_model::shards(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::resolve;
    use crate::model_files::{ModelFiles, ResolveError};

    #[test]
    fn a_pipe_is_no_model_nor_part_of_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("model")).unwrap();
        for pipe in ["pipe.gguf", "model/model.safetensors"] {
            nix::unistd::mkfifo(&folder.path().join(pipe), nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        for name in ["pipe.gguf", "model"] {
            let refused = resolve(folder.path(), name);
            assert!(matches!(refused, Err(ResolveError::NotAFile { .. })), "{refused:?}");
        }
    }

    #[test]
    fn a_name_inside_the_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("org")).unwrap();
        fs::write(folder.path().join("org/a.gguf"), "").unwrap();
        let path = resolve(folder.path(), "org/a.gguf").unwrap();
        assert_eq!(path, folder.path().canonicalize().unwrap().join("org/a.gguf"));
        assert!(resolve(folder.path(), "./org").is_ok());
    }

    #[test]
    fn each_bad_name_has_its_own_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |name: &str| resolve(folder.path(), name).unwrap_err();
        assert!(matches!(refusal(""), ResolveError::Unusable));
        assert!(matches!(refusal("a\0b"), ResolveError::Unusable));
        assert!(matches!(refusal("/etc/passwd"), ResolveError::Absolute { .. }));
        assert!(matches!(refusal("../a"), ResolveError::ParentFolder { .. }));
        assert!(matches!(refusal("a/../../b"), ResolveError::ParentFolder { .. }));
        assert!(matches!(refusal("none"), ResolveError::NotFound { .. }));
        assert!(matches!(refusal(&"x".repeat(5000)), ResolveError::NotFound { .. }));
        assert!(matches!(
            resolve(&folder.path().join("none"), "a"),
            Err(ResolveError::ModelsFolder { .. })
        ));
    }

    #[test]
    fn a_link_out_of_the_folder_is_refused_wherever_it_is() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink(outside.path(), path("out")).unwrap();
        symlink(outside.path().join("secret"), path("a.gguf")).unwrap();
        fs::create_dir(path("model")).unwrap();
        symlink(outside.path().join("secret"), path("model/config.json")).unwrap();
        fs::write(path("b-00001-of-00002.gguf"), "").unwrap();
        symlink(outside.path().join("secret"), path("b-00002-of-00002.gguf")).unwrap();
        for name in ["out", "out/secret", "a.gguf", "model", "b-00001-of-00002.gguf"] {
            assert!(
                matches!(resolve(folder.path(), name), Err(ResolveError::LeavesFolder { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn links_that_lead_to_each_other_are_called_a_loop() {
        let folder = tempfile::tempdir().unwrap();
        symlink("b.gguf", folder.path().join("a.gguf")).unwrap();
        symlink("a.gguf", folder.path().join("b.gguf")).unwrap();
        let error = resolve(folder.path(), "a.gguf").unwrap_err();
        assert!(
            error.to_string().contains("`a.gguf` is a loop of symbolic links"),
            "{error}"
        );
        let refusal = |name: &str| ModelFiles::open(&folder.path().join(name)).unwrap_err().to_string();
        assert!(refusal("b.gguf").contains("b.gguf is a loop of symbolic links"));
        // The same holds for one of a model's files.
        fs::create_dir(folder.path().join("model")).unwrap();
        symlink("config.json", folder.path().join("model/config.json")).unwrap();
        assert!(refusal("model").contains("model/config.json is a loop of symbolic links"));
        fs::remove_file(folder.path().join("model/config.json")).unwrap();
        fs::write(folder.path().join("model/config.json"), "{}").unwrap();
        symlink("nothing", folder.path().join("model/model.safetensors")).unwrap();
        let dangling = refusal("model");
        assert!(
            dangling.contains("model.safetensors is a symbolic link to a file that does not exist"),
            "{dangling}"
        );
    }

    #[test]
    fn a_link_inside_the_folder_keeps_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("blob"), "").unwrap();
        symlink("blob", folder.path().join("a.gguf")).unwrap();
        assert!(resolve(folder.path(), "a.gguf").unwrap().ends_with("a.gguf"));
    }
}
