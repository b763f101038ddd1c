//! The admin's files of prompts and of requests on this node. Owns that nothing outside their folder is read; leaves to the experiment
//! what its lines may say.

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

/// More files than a lab has sets of prompts; only so many are named to the other nodes.
const MAX_NAMES: usize = 1000;
/// Names shown in a refusal.
const MAX_SHOWN: usize = 20;

/// The folder that the files of prompts are in, with the size up to which one is read.
#[derive(Clone, Debug)]
pub struct PromptFolder(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    max_bytes: u64,
    turn: Mutex<()>,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFile<T = Vec<PromptLine>> {
    pub sha256: String,
    pub lines: T,
}

/// Why a file of prompts is not had, as what its name "is".
#[derive(Debug, Error)]
pub enum PromptFileError {
    #[error("an absolute path; accepted is a file's name in the prompts folder")]
    Absolute,
    #[error("in another folder; accepted is a file's name right in the prompts folder")]
    NotInFolder,
    #[error("a link out of the prompts folder; accepted is a file within it")]
    LeavesFolder,
    #[error("a link that leads back to itself; accepted is a JSONL file")]
    LinkLoop,
    #[error("no regular file; accepted is a JSONL file")]
    NotAFile,
    #[error("not in the prompts folder; there is {there}")]
    Missing { there: String },
    #[error("in no folder that can be read: the server's prompts folder (prompts_dir) is missing or closed to it")]
    NoFolder,
    #[error("larger than {max_bytes} bytes; accepted is a file of at most as many (max_body_bytes)")]
    TooLarge { max_bytes: u64 },
    #[error("not text in UTF-8; accepted is JSONL")]
    NotText,
    #[error("no file of prompts: {0}")]
    Bad(#[from] BadPromptFile),
    #[error("a file that cannot be read: {0}")]
    Io(io::Error),
}

impl PromptFolder {
    pub fn new(path: PathBuf, max_bytes: u64) -> Self {
        let turn = Mutex::default();
        Self(Arc::new(Folder { path, max_bytes, turn }))
    }

    /// Waits for its turn to hold the lines of a file. A file takes several times its size in memory, and a submission that
    /// names it is a few bytes: many at once would take more than there is.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Reads a file by its name. Blocks on the file system.
    ///
    /// # Errors
    /// Returns a `PromptFileError`, worded for who named the file.
    pub fn read(&self, name: &str) -> Result<PromptFile, PromptFileError> {
        self.read_as(name, read_prompt_lines)
    }

    /// Reads a file of requests with their times by its name. Blocks on the file system.
    ///
    /// # Errors
    /// Returns a `PromptFileError`, worded for who named the file.
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

    /// Lists the files by name, for other nodes and for people. Blocks on the file system.
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

    /// Returns the path of a file by the rules of the models folder, without a folder of its own.
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
        // A pipe that took the file's place since it was looked at would be waited for without end.
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
        // As `sha256sum` says of it.
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
            ("pipe.jsonl", "no regular file"),
            ("loop.jsonl", "a link that leads back to itself"),
            ("sub", "no regular file"),
            (
                "none.jsonl",
                "there is a.jsonl, bad.jsonl, bytes.jsonl, large.jsonl, link.jsonl",
            ),
            ("large.jsonl", "larger than 100 bytes"),
            ("bytes.jsonl", "not text in UTF-8"),
            (
                "bad.jsonl",
                "no file of prompts: line 2 has neither prompt nor messages",
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
