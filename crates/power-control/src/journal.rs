//! What a board had before it was set, on disk before it is set: a file a board, in a folder that all who set boards of
//! this host share. Whoever has set a board holds the file's lock (flock) for as long as it lives, so that what a killed
//! process left is told from what a living one still needs. Two lines at most: what it had, then what it was set to.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use joulemark_files::open_own;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const BEGINS: &str = "power-";
const ENDS: &str = ".journal";
/// Two lines are a few hundred bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// Why a board's journal cannot be had.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("another process has set this board, and has not put it back yet")]
    Busy,
    #[error(
        "the user with the id {0} has set this board and left it; that user puts it back by joulemark power restore"
    )]
    Foreign(u32),
    #[error("the power journal cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// What a board had before it was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    pub uuid: String,
    /// For whom it is set, in words.
    pub set_for: String,
    /// The limit that it had, in watts; `None` where no limit is set.
    pub limit_w: Option<f64>,
    /// Whether the clocks of the chip are locked.
    pub locks_gpu_clock: bool,
    /// Whether the clock of the memory is locked.
    pub locks_memory_clock: bool,
    /// The board's energy counter, in millijoules.
    pub counter_mj: Option<u64>,
}

/// What it was set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// The limit as the board shows it, in watts; `None` where none was set.
    pub limit_w: Option<f64>,
}

/// What stands in a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub before: Before,
    /// `None` where whoever set it was killed before it was known.
    pub after: Option<After>,
}

/// The journal of one board, locked.
#[derive(Debug)]
pub struct Journal {
    file: File,
    folder: PathBuf,
}

impl Journal {
    /// Opens the journal of a board.
    ///
    /// # Errors
    /// [`JournalError::Busy`] while a process that has set the board lives.
    pub fn open(folder: &Path, uuid: &str) -> Result<Self, JournalError> {
        let plain: String = uuid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        Self::open_file(folder, &folder.join(format!("{BEGINS}{plain}{ENDS}")))
    }

    fn open_file(folder: &Path, path: &Path) -> Result<Self, JournalError> {
        let owner = path.symlink_metadata().ok().map(|found| found.uid());
        if let Some(owner) = owner.filter(|owner| *owner != nix::unistd::geteuid().as_raw()) {
            return Err(JournalError::Foreign(owner));
        }
        let mut options = File::options();
        let options = options.read(true).write(true).create(owner.is_none()).mode(0o644);
        let file = open_own(path, options)?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                file,
                folder: folder.to_owned(),
            }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Busy),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Opens each journal of this user that a process left which is gone.
    ///
    /// # Errors
    /// The operating system's, of the folder or of a file.
    pub fn left_in(folder: &Path) -> Result<Vec<Self>, JournalError> {
        let mut left = Vec::new();
        for found in std::fs::read_dir(folder)? {
            let path = found?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with(BEGINS) || !name.ends_with(ENDS) {
                continue;
            }
            match Self::open_file(folder, &path) {
                Ok(journal) => left.push(journal),
                Err(JournalError::Busy | JournalError::Foreign(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Returns what stands in it; `None` where nothing was set: a line that was cut off was never acted on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&mut self.file).take(MOST_BYTES).read_to_string(&mut text)?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let before = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let after = lines.next().and_then(|line| serde_json::from_str(line).ok());
        Ok(before.map(|before| Entry { before, after }))
    }

    /// Writes what a board has, to the disk: it may be set once this is back.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin(&mut self, before: &Before) -> io::Result<()> {
        self.clear()?;
        self.append(before)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Writes what the board was set to.
    ///
    /// # Errors
    /// The operating system's.
    pub fn confirm(&mut self, after: &After) -> io::Result<()> {
        self.append(after)
    }

    /// Empties it: the board is as it was.
    ///
    /// # Errors
    /// The operating system's.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.sync_all()
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line)?;
        line.push(b'\n');
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&line)?;
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before() -> Before {
        Before {
            uuid: "GPU-a".to_owned(),
            set_for: "a test".to_owned(),
            limit_w: Some(400.0),
            locks_gpu_clock: false,
            locks_memory_clock: false,
            counter_mj: Some(7),
        }
    }

    #[test]
    fn what_is_left_is_read_once_its_process_is_gone_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "GPU-a").expect("nobody has it");
        assert_eq!(journal.entry().expect("it is read"), None);
        journal.begin(&before()).expect("it is written");
        journal.confirm(&After { limit_w: Some(300.0) }).expect("it is written");
        assert!(matches!(Journal::open(folder.path(), "GPU-a"), Err(JournalError::Busy)));
        assert!(Journal::left_in(folder.path()).expect("a list").is_empty());
        drop(journal);
        let mut left = Journal::left_in(folder.path()).expect("a list");
        let entry = left[0].entry().expect("it is read").expect("it is there");
        assert_eq!(entry.before, before());
        assert_eq!(entry.after, Some(After { limit_w: Some(300.0) }));
        left[0].clear().expect("it is emptied");
        assert_eq!(left[0].entry().expect("it is read"), None);
    }

    #[test]
    fn a_line_that_was_cut_off_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut whole = serde_json::to_vec(&before()).expect("JSON");
        let path = folder.path().join("power-GPU-a.journal");
        std::fs::write(&path, &whole).expect("it is written");
        let mut journal = Journal::open(folder.path(), "GPU-a").expect("nobody has it");
        assert_eq!(
            journal.entry().expect("it is read"),
            None,
            "nothing was set before the line ended"
        );
        whole.extend(b"\n{\"limit_w\":3");
        std::fs::write(&path, &whole).expect("it is written");
        let entry = journal.entry().expect("it is read").expect("it is there");
        assert_eq!(entry.after, None);
    }
}
