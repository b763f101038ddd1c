use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Reason why a model's files cannot be read. The documentation of each variant begins with the caller's next step.
#[derive(Debug, Error)]
pub enum ModelFileError {
    /// Reject the request: the path does not exist.
    #[error("{path} does not exist")]
    NotFound { path: PathBuf },
    /// Reject the request: another file or folder has to be named.
    #[error("{path} is neither a .gguf file, nor a folder with one, nor a folder with config.json and *.safetensors")]
    NotAModel { path: PathBuf },
    /// Reject the request: the file or folder that is meant has to be named.
    #[error("{path} is {what}; pass {instead}")]
    PassInstead {
        path: PathBuf,
        what: &'static str,
        instead: String,
    },
    /// Reject the request: reading it may never end.
    #[error("{path} is neither a file nor a folder, but a pipe, a socket or a device")]
    NotAFile { path: PathBuf },
    /// Reject the request: one of the files has to be named.
    #[error("{path} holds several models, name one of them: {}", names.join(", "))]
    Ambiguous { path: PathBuf, names: Vec<String> },
    /// Give up until the file exists: the download is incomplete.
    #[error("{path} is missing: the model is split and incomplete")]
    MissingShard { path: PathBuf },
    /// Give up: the file is truncated, damaged or of another type; download it again.
    #[error("{path} is damaged: {reason}")]
    Malformed { path: PathBuf, reason: String },
    /// Give up: the file may be sound, but this version does not know the version or the types of its format.
    #[error("{path} is not supported: {reason}")]
    Unsupported { path: PathBuf, reason: String },
    /// Give up until the file exists: the download is incomplete.
    #[error("{path} is a symbolic link to a file that does not exist")]
    DanglingLink { path: PathBuf },
    /// Reject the request: the name leads to no file.
    #[error("{path} is a loop of symbolic links, which leads to no file")]
    LinkLoop { path: PathBuf },
    /// Retry, or check the disk and the permissions.
    #[error("{path} cannot be read")]
    Io { path: PathBuf, source: io::Error },
}

impl ModelFileError {
    /// Creates the error for a failed access to a path.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound if path.is_symlink() => Self::DanglingLink { path: path.to_owned() },
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ if is_link_loop(&source) => Self::LinkLoop { path: path.to_owned() },
            _ => Self::Io {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Creates a [`Self::Malformed`].
    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Reason why a model's name does not lead to a path under the models folder. All variants except `Io` and
/// `ModelsFolder` mean that the name is wrong: reject the request.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The name is empty or contains a NUL character.
    #[error("the model's name is empty or contains a NUL character")]
    Unusable,
    /// The name is an absolute path.
    #[error("`{name}` is an absolute path; accepted is a path relative to the models folder")]
    Absolute { name: String },
    /// The name contains `..`.
    #[error("`{name}` contains `..`; accepted is a path inside the models folder")]
    ParentFolder { name: String },
    /// No model has this name.
    #[error("there is no model `{name}` in the models folder")]
    NotFound { name: String },
    /// Symbolic links lead to each other.
    #[error("`{name}` is a loop of symbolic links, which leads to no file")]
    LinkLoop { name: String },
    /// A symbolic link leads out of the models folder.
    #[error("`{name}` leads out of the models folder by a symbolic link")]
    LeavesFolder { name: String },
    /// The name is that of a pipe or a device.
    #[error("`{name}` is neither a file nor a folder")]
    NotAFile { name: String },
    /// Inform the operator: the configured folder cannot be read.
    #[error("the models folder {path} cannot be read")]
    ModelsFolder { path: PathBuf, source: io::Error },
    /// Retry, or inform the operator.
    #[error("`{name}` cannot be read")]
    Io { name: String, source: io::Error },
}

/// Returns whether following symbolic links failed because of a loop. The standard library has no stable name for this
/// error.
pub(super) fn is_link_loop(error: &io::Error) -> bool {
    const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };
    error.raw_os_error() == Some(ELOOP)
}

/// Reason why a header is rejected, before the path of its file is known.
#[derive(Debug, Error)]
pub(super) enum HeaderError {
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Unsupported(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl HeaderError {
    /// Returns the error for the file at `path`.
    pub fn at(self, path: &Path) -> ModelFileError {
        match self {
            Self::Malformed(reason) => ModelFileError::malformed(path, reason),
            Self::Unsupported(reason) => ModelFileError::Unsupported {
                path: path.to_owned(),
                reason,
            },
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ModelFileError::malformed(path, "it ends before its header does")
            }
            Self::Io(error) => ModelFileError::io(path, error),
        }
    }
}

/// Returns the error for a malformed header.
pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, HeaderError> {
    Err(HeaderError::Malformed(reason.into()))
}
