//! The record that a keeper leaves for a later sweep, in case it is killed: one file for each keeper, in a folder of
//! the server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::process::Identity;

/// What a sweep needs to know about a keeper and its engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The kernel's id of this boot; pids and start times are only valid within it.
    pub boot_id: String,
    pub keeper: Identity,
    /// The leader of the engine's session, whose id is its pid; `None` before it is started.
    pub engine: Option<Identity>,
    /// The value of [`MARK_VARIABLE`](crate::engine::MARK_VARIABLE) in the environment of every process the engine
    /// starts.
    pub mark: String,
    /// The folder of the engine's cgroup; `None` when it has none.
    pub cgroup: Option<PathBuf>,
    /// The text of the engine's `/proc/<pid>/cgroup`; `None` before it is started.
    pub membership: Option<String>,
}

impl Record {
    /// Replaces the keeper's record atomically.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        let unfinished = self.path(folder, "new");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, self.path(folder, "json"))
    }

    /// Removes the keeper's record.
    ///
    /// # Errors
    /// Returns the error of the operating system; an already removed record is not an error.
    pub fn remove(&self, folder: &Path) -> io::Result<()> {
        remove_file(&self.path(folder, "json"))
    }

    /// Reads a record; `None` when the file is incomplete or cannot be read.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn path(&self, folder: &Path, ending: &str) -> PathBuf {
        let Identity { pid, start_time_ticks } = self.keeper;
        folder.join(format!("{pid}-{start_time_ticks}.{ending}"))
    }
}

/// Returns the keeper that a record's file name contains; `None` when the file is not a record.
pub fn keeper_of(path: &Path) -> Option<Identity> {
    let ending = path.extension()?;
    let (pid, start_time_ticks) = path.file_stem()?.to_str()?.split_once('-')?;
    let is_record = ending == "json" || ending == "new";
    is_record.then_some(Identity {
        pid: pid.parse().ok()?,
        start_time_ticks: start_time_ticks.parse().ok()?,
    })
}

/// Removes a file, which may already be gone.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns the kernel's id of this boot.
///
/// # Errors
/// Returns an error when `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Returns a unique mark: a random UUID from the kernel.
///
/// # Errors
/// Returns an error when `/proc` cannot be read.
pub fn new_mark() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_by_its_name_and_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let record = Record {
            boot_id: boot_id().expect("Linux"),
            keeper: Identity {
                pid: 7,
                start_time_ticks: 99,
            },
            engine: None,
            mark: new_mark().expect("Linux"),
            cgroup: Some("/sys/fs/cgroup/a".into()),
            membership: None,
        };
        record.write(folder.path()).expect("it is written");
        let files = fs::read_dir(folder.path()).expect("the folder").flatten();
        let files: Vec<_> = files.map(|file| file.path()).collect();
        let [path] = files.as_slice() else {
            panic!("one file: {files:?}")
        };
        assert_eq!(keeper_of(path), Some(record.keeper));
        assert_eq!(Record::read(path).as_ref(), Some(&record));
        fs::write(path, "{\"boot_id\":").expect("it is cut");
        assert_eq!(Record::read(path), None);
        record.remove(folder.path()).expect("it is removed");
        record.remove(folder.path()).expect("it is gone already");
        for other in ["7.json", "a-99.json", "7-99.txt", "notes"] {
            assert_eq!(keeper_of(Path::new(other)), None, "{other}");
        }
    }
}
