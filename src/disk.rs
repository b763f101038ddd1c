//! Tries whether there is room to write where the server must: a disk that is full takes no result, however well all else
//! works. Keeps some room back, which pruning a full disk needs.

pub mod backup_marker;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use joulemark_files::open_own;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

/// More than the end of most runs takes.
const TRIED_BYTES: i64 = 1024 * 1024;
/// Where space cannot be had without writing, so much is written.
const WRITTEN_BYTES: usize = 64 * 1024;
/// What a delete of raw data writes before it frees any, at most.
const MAX_RESERVED_BYTES: u64 = 32 * 1024 * 1024;
/// Of a small disk no larger part is kept back.
const RESERVED_PART: u64 = 16;

/// A folder that the server writes to, with what it holds: `database` or `spool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub name: &'static str,
    pub folder: PathBuf,
}

/// What was found of a disk just now.
#[derive(Debug)]
pub struct Room {
    pub name: &'static str,
    /// Room for everybody but root; `None` where the file system does not tell.
    pub free_bytes: Option<u64>,
    /// Why nothing can be written; `None` while it can.
    pub problem: Option<io::Error>,
}

impl Disk {
    /// Writes a file and removes it again. Blocks.
    pub fn look(&self) -> Room {
        Room {
            name: self.name,
            free_bytes: free_bytes(&self.folder),
            problem: try_to_write(&self.folder).err(),
        }
    }
}

impl Room {
    /// Returns what is wrong, in words without a path of the server's.
    pub fn refusal(&self) -> Option<String> {
        let error = self.problem.as_ref()?;
        let name = self.name;
        Some(match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!("the disk of the {name} is full"),
            kind => format!("the disk of the {name} cannot be written: {kind}"),
        })
    }
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = statvfs(folder).ok()?;
    let (blocks, size): (u64, u64) = (stat.blocks_available(), stat.fragment_size());
    Some(blocks.saturating_mul(size))
}

/// The file is gone with its descriptor, whatever happens.
fn try_to_write(folder: &Path) -> io::Result<()> {
    allocate(&tempfile::tempfile_in(folder)?, TRIED_BYTES)
}

fn allocate(mut file: &File, bytes: i64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
            file.write_all(&[0; WRITTEN_BYTES])?;
            file.sync_data()
        }
        allocated => Ok(allocated?),
    }
}

fn reserve_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".reserve");
    path.into()
}

/// Keeps room back beside an SQLite file. Blocks.
///
/// # Errors
/// Returns the operating system's error; nothing is left of the file then.
pub fn reserve(database: &Path) -> io::Result<()> {
    let path = reserve_path(database);
    let made = open_own(&path, File::options().write(true).create_new(true).mode(0o600));
    let file = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let free = free_bytes(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let bytes = (free / RESERVED_PART).min(MAX_RESERVED_BYTES);
    let reserved = allocate(&file, i64::try_from(bytes).unwrap_or_default());
    reserved.inspect_err(|_| {
        let _ = std::fs::remove_file(&path);
    })
}

/// Gives that room free, for what is about to make more. Blocks.
pub fn release(database: &Path) {
    let _ = std::fs::remove_file(reserve_path(database));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_has_no_problem_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk {
            name: "spool",
            folder: folder.path().to_owned(),
        };
        let room = disk.look();
        assert!(room.problem.is_none() && room.free_bytes.unwrap() > 0, "{room:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(folder);
        let refusal = disk.look().refusal().unwrap();
        assert!(refusal.contains("the disk of the spool cannot be written"), "{refusal}");
    }

    #[test]
    fn room_is_kept_back_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        reserve(&database).unwrap();
        reserve(&database).unwrap();
        let size = std::fs::metadata(folder.path().join("a.db.reserve")).unwrap().len();
        assert!(size > 0 && size <= MAX_RESERVED_BYTES, "{size}");
        release(&database);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
