//! The journal of a board: what it had before it was set, written to disk before it is set. One file for each board and
//! user, in a folder shared by all programs that set boards of this host. The process that has set a board holds a lock
//! (flock) on the file until it ends, which distinguishes the journal of a killed process from one in use. A journal
//! has at most two lines: the values before, and the values set.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use joulemark_files::open_own;
use serde::{Deserialize, Serialize};
use thiserror::Error;

const PREFIX: &str = "power-";
const SUFFIX: &str = ".journal";
/// Maximum number of bytes read; two lines have a few hundred.
const MAX_BYTES: u64 = 16 * 1024;

/// The reason why a board's journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error("another process has set this board and has not restored it yet")]
    Busy,
    #[error(
        "the user with the id {0} has set this board and not restored it; that user can do so with \
         `joulemark power restore`"
    )]
    Foreign(u32),
    #[error("the power journal cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// The values of a board before it was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    pub uuid: String,
    /// The purpose, as a description for messages.
    pub set_for: String,
    /// The limit in watts; `None` when no limit is to be set.
    pub limit_w: Option<f64>,
    /// Whether the clock of the GPU is to be locked.
    pub locks_gpu_clock: bool,
    /// Whether the clock of the memory is to be locked.
    pub locks_memory_clock: bool,
    /// The energy counter of the board in millijoules; `None` when it cannot be read.
    pub counter_mj: Option<u64>,
}

/// The values that a board was set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// The limit that the board reports, in watts; `None` when no limit was set.
    pub limit_w: Option<f64>,
}

/// The content of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub before: Before,
    /// `None` when the process was killed before it had written the result.
    pub after: Option<After>,
}

/// The journal of one board, locked by this process.
#[derive(Debug)]
pub struct Journal {
    file: File,
    folder: PathBuf,
}

impl Journal {
    /// Opens and locks the journal of a board.
    ///
    /// # Errors
    /// Returns [`JournalError::Busy`] while another process holds the journal, and [`JournalError::Foreign`] when
    /// another user has left the board set.
    pub fn open(folder: &Path, uuid: &str) -> Result<Self, JournalError> {
        let plain: String = uuid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let own = nix::unistd::geteuid().as_raw();
        for (path, owner) in all_in(folder)? {
            let is_of_board = path == path_of(folder, owner, &plain);
            if is_of_board && owner != own {
                check_foreign(&path, owner)?;
            }
        }
        Self::open_file(folder, &path_of(folder, own, &plain))
    }

    fn open_file(folder: &Path, path: &Path) -> Result<Self, JournalError> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let file = locked(open_own(path, options)?)?;
        Ok(Self {
            file,
            folder: folder.to_owned(),
        })
    }

    /// Returns the paths of this user's journals that are not empty.
    ///
    /// # Errors
    /// Returns the error of the operating system for the folder.
    pub fn left_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let own = nix::unistd::geteuid().as_raw();
        let all = all_in(folder)?.into_iter();
        let left = all.filter(|(path, owner)| *owner == own && path.metadata().is_ok_and(|found| found.len() > 0));
        Ok(left.map(|(path, _)| path).collect())
    }

    /// Opens a journal returned by [`Self::left_in`]; `None` while a live process holds it.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn open_left(folder: &Path, path: &Path) -> Result<Option<Self>, JournalError> {
        match Self::open_file(folder, path) {
            Ok(journal) => Ok(Some(journal)),
            Err(JournalError::Busy) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the content; `None` when nothing was set. An incomplete first line means that the board was not set.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        read(&mut self.file)
    }

    /// Writes the values before, and syncs them to disk. The board may be set after this has returned.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn begin(&mut self, before: &Before) -> io::Result<()> {
        self.clear()?;
        self.append(before)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Writes the values that the board was set to.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn confirm(&mut self, after: &After) -> io::Result<()> {
        self.append(after)
    }

    /// Empties the journal, because the board is restored.
    ///
    /// # Errors
    /// Returns the error of the operating system.
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

/// Returns the UUIDs of the boards that processes of this user have set and not restored, whether these processes are
/// alive or not.
///
/// # Errors
/// Returns the error of the operating system for the folder or a file.
pub fn left_set(folder: &Path) -> io::Result<Vec<String>> {
    let mut boards = Vec::new();
    for path in Journal::left_in(folder)? {
        let mut file = open_own(&path, File::options().read(true))?;
        boards.extend(read(&mut file)?.map(|entry| entry.before.uuid));
    }
    Ok(boards)
}

/// Returns the path of a user's journal of a board. The name contains the user, because in a shared folder no user may
/// write to a file of another.
fn path_of(folder: &Path, user: u32, board: &str) -> PathBuf {
    folder.join(format!("{PREFIX}{user}-{board}{SUFFIX}"))
}

/// Returns every journal with its owner. Files whose owner is not the user in their name are ignored.
fn all_in(folder: &Path) -> io::Result<Vec<(PathBuf, u32)>> {
    let mut all = Vec::new();
    for found in std::fs::read_dir(folder)? {
        let path = found?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_user = name.strip_prefix(PREFIX).filter(|name| name.ends_with(SUFFIX));
        let user = of_user.and_then(|name| name.split('-').next()?.parse().ok());
        let owner = path.symlink_metadata().ok().map(|found| found.uid());
        if let Some(owner) = owner.filter(|owner| Some(*owner) == user) {
            all.push((path, owner));
        }
    }
    Ok(all)
}

/// Checks that another user has not left the board set.
fn check_foreign(path: &Path, owner: u32) -> Result<(), JournalError> {
    let mut file = locked(open_own(path, File::options().read(true))?)?;
    match read(&mut file)? {
        Some(_) => Err(JournalError::Foreign(owner)),
        None => Ok(()),
    }
}

fn locked(file: File) -> Result<File, JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Busy),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn read(file: &mut File) -> io::Result<Option<Entry>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let before = lines.next().and_then(|line| serde_json::from_str(line).ok());
    let after = lines.next().and_then(|line| serde_json::from_str(line).ok());
    Ok(before.map(|before| Entry { before, after }))
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
    fn a_journal_is_read_only_after_its_process_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "GPU-a").expect("it is free");
        assert_eq!(journal.entry().expect("it is read"), None);
        journal.begin(&before()).expect("it is written");
        journal.confirm(&After { limit_w: Some(300.0) }).expect("it is written");
        assert!(matches!(Journal::open(folder.path(), "GPU-a"), Err(JournalError::Busy)));
        let left = || {
            let paths = Journal::left_in(folder.path()).expect("a list");
            let each = paths
                .iter()
                .map(|path| Journal::open_left(folder.path(), path).expect("it is opened"));
            each.flatten().collect::<Vec<_>>()
        };
        assert!(left().is_empty());
        drop(journal);
        let mut left = left();
        let entry = left[0].entry().expect("it is read").expect("it is there");
        assert_eq!(entry.before, before());
        assert_eq!(entry.after, Some(After { limit_w: Some(300.0) }));
        left[0].clear().expect("it is emptied");
        assert_eq!(left[0].entry().expect("it is read"), None);
    }

    #[test]
    fn an_incomplete_line_is_ignored() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut whole = serde_json::to_vec(&before()).expect("JSON");
        let path = path_of(folder.path(), nix::unistd::geteuid().as_raw(), "GPU-a");
        std::fs::write(&path, &whole).expect("it is written");
        let mut journal = Journal::open(folder.path(), "GPU-a").expect("it is free");
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
