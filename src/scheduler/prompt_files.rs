//! The admin's prompt files and replay files on this node. Ensures that nothing outside their folder is read. Leaves
//! the format of the lines to the experiment crate.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::{Mutex, MutexGuard};

use joulemark_experiment::{BadPromptFile, PromptLine, ReplayLines, read_prompt_lines, read_replay_lines};
use joulemark_flops::model_files::{self, ResolveError};

/// Maximum number of file names that are published to other nodes, more than a lab has.
const MAX_NAMES: usize = 1000;
/// Maximum number of file names in an error message.
const MAX_SHOWN: usize = 20;

/// The folder of prompt files, with the maximum size of a file.
#[derive(Clone, Debug)]
pub struct PromptFolder(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    max_bytes: u64,
    turn: Mutex<()>,
}

/// Content of a prompt file, with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFile<T = Vec<PromptLine>> {
    pub sha256: String,
    pub lines: T,
}

/// Reason why a prompt file cannot be used. The message completes the sentence "NAME is …".
#[derive(Debug, Error)]
pub enum PromptFileError {
    #[error("an absolute path; accepted is the name of a file in the prompts folder")]
    Absolute,
    #[error("in another folder; accepted is the name of a file directly in the prompts folder")]
    NotInFolder,
    #[error("a link out of the prompts folder; accepted is a file within it")]
    LeavesFolder,
    #[error("a link that leads back to itself; accepted is a JSONL file")]
    LinkLoop,
    #[error("not a regular file; accepted is a JSONL file")]
    NotAFile,
    #[error("not in the prompts folder; there is {there}")]
    Missing { there: String },
    #[error("not readable: the server's prompts folder (prompts_dir) is missing, or the server may not read it")]
    NoFolder,
    #[error("larger than {max_bytes} bytes; accepted are files up to that size (max_body_bytes)")]
    TooLarge { max_bytes: u64 },
    #[error("not text in UTF-8; accepted is JSONL")]
    NotText,
    #[error("not a valid prompt file: {0}")]
    Bad(#[from] BadPromptFile),
    #[error("a file that cannot be read: {0}")]
    Io(io::Error),
}

impl PromptFolder {
    /// Creates the folder's handle. Reads nothing yet.
    pub fn new(path: PathBuf, max_bytes: u64) -> Self {
        let turn = Mutex::default();
        Self(Arc::new(Folder { path, max_bytes, turn }))
    }

    /// Waits until no other submission holds the lines of a file. A file takes several times its size in memory, while
    /// the submission that names it has a few bytes, so several at once could exhaust the memory.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Reads a prompt file by name. Blocks on the file system.
    ///
    /// # Errors
    /// Returns a `PromptFileError`, worded for the client that named the file.
    pub fn read(&self, name: &str) -> Result<PromptFile, PromptFileError> {
        self.read_as(name, read_prompt_lines)
    }

    /// Reads a replay file, whose requests have arrival times, by name. Blocks on the file system.
    ///
    /// # Errors
    /// Returns a `PromptFileError`, worded for the client that named the file.
    pub fn read_replay(&self, name: &str) -> Result<PromptFile<ReplayLines>, PromptFileError> {
        self.read_as(name, read_replay_lines)
    }

    fn read_as<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, BadPromptFile>,
    ) -> Result<PromptFile<T>, PromptFileError> {
        let bytes = self.bytes(&self.locate(name)?)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let text = String::from_utf8(bytes).map_err(|_| PromptFileError::NotText)?;
        let lines = read(&text)?;
        Ok(PromptFile { sha256, lines })
    }

    /// Lists the names of the files, for other nodes and for clients. Blocks on the file system.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0.path).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<_> = names
            .filter(|name| !name.starts_with('.') && self.locate(name).is_ok_and(|path| path.is_file()))
            .collect();
        names.sort_unstable();
        names.truncate(MAX_NAMES);
        names
    }

    /// Returns the path of a file by the rules of the models folder, except that subfolders are not allowed.
    fn locate(&self, name: &str) -> Result<PathBuf, PromptFileError> {
        let path = model_files::resolve(&self.0.path, name).map_err(|error| match error {
            ResolveError::Absolute { .. } => PromptFileError::Absolute,
            ResolveError::ParentFolder { .. } => PromptFileError::NotInFolder,
            ResolveError::LeavesFolder { .. } => PromptFileError::LeavesFolder,
            ResolveError::NotAFile { .. } => PromptFileError::NotAFile,
            ResolveError::LinkLoop { .. } => PromptFileError::LinkLoop,
            ResolveError::Unusable | ResolveError::NotFound { .. } => self.missing(),
            ResolveError::ModelsFolder { .. } => PromptFileError::NoFolder,
            ResolveError::Io { source, .. } => PromptFileError::Io(source),
        })?;
        match Path::new(name).components().count() == 1 && !name.contains('/') {
            true => Ok(path),
            false => Err(PromptFileError::NotInFolder),
        }
    }

    fn missing(&self) -> PromptFileError {
        let mut names = self.names();
        let more = names.len().saturating_sub(MAX_SHOWN);
        names.truncate(MAX_SHOWN);
        let there = match (names.is_empty(), more) {
            (true, _) => "none".to_owned(),
            (false, 0) => names.join(", "),
            (false, more) => format!("{} and {more} more", names.join(", ")),
        };
        PromptFileError::Missing { there }
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>, PromptFileError> {
        // Opening must not block when a named pipe has replaced the file since the check.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = opened.map_err(PromptFileError::Io)?;
        if !file.metadata().map_err(PromptFileError::Io)?.is_file() {
            return Err(PromptFileError::NotAFile);
        }
        let max_bytes = self.0.max_bytes;
        let mut bytes = Vec::new();
        let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(PromptFileError::Io)?;
        match bytes.len() as u64 > max_bytes {
            true => Err(PromptFileError::TooLarge { max_bytes }),
            false => Ok(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_read_with_its_hash_and_nothing_else_is() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.jsonl"), "{\"prompt\": \"secret\"}\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.jsonl"), "{\"prompt\": \"a\"}\n").unwrap();
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/b.jsonl"), "{\"prompt\": \"b\"}\n").unwrap();
        fs::write(at("large.jsonl"), " ".repeat(101)).unwrap();
        fs::write(at("bytes.jsonl"), [0xff]).unwrap();
        fs::write(at("bad.jsonl"), "{\"prompt\": \"a\"}\n{}\n").unwrap();
        nix::unistd::mkfifo(&at("pipe.jsonl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink(outside.path().join("secret.jsonl"), at("out.jsonl")).unwrap();
        symlink("a.jsonl", at("link.jsonl")).unwrap();
        symlink("loop.jsonl", at("loop.jsonl")).unwrap();
        let prompts = PromptFolder::new(folder.path().to_owned(), 100);
        let read = prompts.read("a.jsonl").unwrap();
        // The hash that `sha256sum` prints.
        assert_eq!(
            read.sha256,
            "8a8c2da9cd6156c411e04714ce81cde2425df195083077b23550021445caf826"
        );
        assert_eq!(prompts.read("link.jsonl").unwrap(), read);
        for (name, expected) in [
            ("/etc/passwd", "an absolute path"),
            ("../secret.jsonl", "in another folder"),
            ("sub/../a.jsonl", "in another folder"),
            ("sub/b.jsonl", "in another folder"),
            ("./a.jsonl", "in another folder"),
            ("out.jsonl", "a link out of"),
            ("pipe.jsonl", "not a regular file"),
            ("loop.jsonl", "a link that leads back to itself"),
            ("sub", "not a regular file"),
            (
                "none.jsonl",
                "there is a.jsonl, bad.jsonl, bytes.jsonl, large.jsonl, link.jsonl",
            ),
            ("large.jsonl", "larger than 100 bytes"),
            ("bytes.jsonl", "not text in UTF-8"),
            (
                "bad.jsonl",
                "not a valid prompt file: line 2 has neither prompt nor messages",
            ),
        ] {
            let said = prompts.read(name).unwrap_err().to_string();
            assert!(said.contains(expected), "{name}: {said}");
        }
        let none = PromptFolder::new(at("none"), 100);
        assert!(matches!(none.read("a.jsonl"), Err(PromptFileError::NoFolder)));
        assert!(none.names().is_empty());
    }
}
