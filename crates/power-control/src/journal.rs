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
    /// [`JournalError::Busy`] while a process that has set the board lives, [`JournalError::Foreign`] where another user's left it
    /// set.
    pub fn open(folder: &Path, uuid: &str) -> Result<Self, JournalError> {
        let plain: String = uuid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        let own = nix::unistd::geteuid().as_raw();
        for (path, owner) in all_in(folder)? {
            let is_of_board = path == path_of(folder, owner, &plain);
            if is_of_board && owner != own {
                look_at_foreign(&path, owner)?;
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

    /// Lists the journals of this user in which something stands.
    ///
    /// # Errors
    /// The operating system's, of the folder.
    pub fn left_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
        let own = nix::unistd::geteuid().as_raw();
        let all = all_in(folder)?.into_iter();
        let left = all.filter(|(path, owner)| *owner == own && path.metadata().is_ok_and(|found| found.len() > 0));
        Ok(left.map(|(path, _)| path).collect())
    }

    /// Opens a journal of [`Self::left_in`]; `None` while a process that has set the board lives.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open_left(folder: &Path, path: &Path) -> Result<Option<Self>, JournalError> {
        match Self::open_file(folder, path) {
            Ok(journal) => Ok(Some(journal)),
            Err(JournalError::Busy) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns what stands in it; `None` where nothing was set: a line that was cut off was never acted on.
    ///
    /// # Errors
    /// The operating system's.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        read(&mut self.file)
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

/// Lists the boards that this user's processes set and have not put back, whether they live or not.
///
/// # Errors
/// The operating system's, of the folder or of a file.
pub fn left_set(folder: &Path) -> io::Result<Vec<String>> {
    let mut boards = Vec::new();
    for path in Journal::left_in(folder)? {
        let mut file = open_own(&path, File::options().read(true))?;
        boards.extend(read(&mut file)?.map(|entry| entry.before.uuid));
    }
    Ok(boards)
}

/// Returns the place of the journal that a user has of a board. The user is in the name: in a folder that all share nobody may
/// write another's file.
fn path_of(folder: &Path, user: u32, board: &str) -> PathBuf {
    folder.join(format!("{BEGINS}{user}-{board}{ENDS}"))
}

/// Lists every journal with its owner, whom its name has to say.
fn all_in(folder: &Path) -> io::Result<Vec<(PathBuf, u32)>> {
    let mut all = Vec::new();
    for found in std::fs::read_dir(folder)? {
        let path = found?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_user = name.strip_prefix(BEGINS).filter(|name| name.ends_with(ENDS));
        let user = of_user.and_then(|name| name.split('-').next()?.parse().ok());
        let owner = path.symlink_metadata().ok().map(|found| found.uid());
        if let Some(owner) = owner.filter(|owner| Some(*owner) == user) {
            all.push((path, owner));
        }
    }
    Ok(all)
}

/// Checks that another user has not set the board.
fn look_at_foreign(path: &Path, owner: u32) -> Result<(), JournalError> {
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
    file.take(MOST_BYTES).read_to_string(&mut text)?;
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
    fn what_is_left_is_read_once_its_process_is_gone_and_not_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(folder.path(), "GPU-a").expect("nobody has it");
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
    fn a_line_that_was_cut_off_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut whole = serde_json::to_vec(&before()).expect("JSON");
        let path = path_of(folder.path(), nix::unistd::geteuid().as_raw(), "GPU-a");
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
