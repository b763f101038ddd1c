use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The reason why a model's files cannot be read. Each variant begins with the caller's next move.
#[derive(Debug, Error)]
pub enum ModelFileError {
    /// Refuse the request: there is nothing at the path.
    #[error("{path} does not exist")]
    NotFound { path: PathBuf },
    /// Refuse the request: name another file or folder.
    #[error("{path} is neither a .gguf file, nor a folder with one, nor a folder with config.json and *.safetensors")]
    NotAModel { path: PathBuf },
    /// Refuse the request: name the file or folder that is meant.
    #[error("{path} is {what}; pass {instead}")]
    PassInstead {
        path: PathBuf,
        what: &'static str,
        instead: String,
    },
    /// Refuse the request: opened, it may never end.
    #[error("{path} is neither a file nor a folder, but a pipe, a socket or a device")]
    NotAFile { path: PathBuf },
    /// Refuse the request: name one of the files.
    #[error("{path} holds several models, name one of them: {}", names.join(", "))]
    Ambiguous { path: PathBuf, names: Vec<String> },
    /// Give up until the file is there: the download is not complete.
    #[error("{path} is missing: the model is split and not complete")]
    MissingShard { path: PathBuf },
    /// Give up: the file is truncated, damaged or not what it claims to be; download it again.
    #[error("{path} is damaged: {reason}")]
    Malformed { path: PathBuf, reason: String },
    /// Give up: the file may be sound, but this version does not know its format's version or types.
    #[error("{path} is not supported: {reason}")]
    Unsupported { path: PathBuf, reason: String },
    /// Give up until the file is there: the download is not complete.
    #[error("{path} is a symbolic link to a file that does not exist")]
    DanglingLink { path: PathBuf },
    /// Refuse the request: no file can be reached by the name.
    #[error("{path} is a loop of symbolic links, which leads to no file")]
    LinkLoop { path: PathBuf },
    /// Retry, or look at the disk and the permissions.
    #[error("{path} cannot be read")]
    Io { path: PathBuf, source: io::Error },
}

impl ModelFileError {
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

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The reason why a model's name does not lead to a path under the models folder. All but `Io` and `ModelsFolder`:
/// refuse the request, the name is at fault.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The name is empty or holds a NUL character.
    #[error("the model's name is empty or holds a NUL character")]
    Unusable,
    /// The name is an absolute path.
    #[error("`{name}` is an absolute path; accepted is a path relative to the models folder")]
    Absolute { name: String },
    /// The name contains `..`.
    #[error("`{name}` contains `..`; accepted is a path inside the models folder")]
    ParentFolder { name: String },
    /// There is nothing of that name.
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
    /// Tell the operator: the configured folder itself cannot be read.
    #[error("the models folder {path} cannot be read")]
    ModelsFolder { path: PathBuf, source: io::Error },
    /// Retry, or tell the operator.
    #[error("`{name}` cannot be read")]
    Io { name: String, source: io::Error },
}

/// Returns whether the system gave up to follow symbolic links. The standard library has no stable name for it.
pub(super) fn is_link_loop(error: &io::Error) -> bool {
    const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };
    error.raw_os_error() == Some(ELOOP)
}

/// Why a header is refused, before it is known which file it came from.
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

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, HeaderError> {
    Err(HeaderError::Malformed(reason.into()))
}
