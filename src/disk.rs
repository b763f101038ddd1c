//! Checks that the server can write to its folders, since a full disk prevents results from being stored. Reserves
//! space that pruning needs on a full disk.

pub mod backup_marker;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use joulemark_files::open_own;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

/// Size in bytes that is tried, larger than the end of most runs.
const TRIED_BYTES: i64 = 1024 * 1024;
/// Size in bytes that is written where the file system cannot allocate space without writing.
const WRITTEN_BYTES: usize = 64 * 1024;
/// Maximum size in bytes of the reserve: what deleting raw data writes before it frees space.
const MAX_RESERVED_BYTES: u64 = 32 * 1024 * 1024;
/// The reserve takes at most this fraction (one sixteenth) of the free space.
const RESERVED_PART: u64 = 16;

/// A folder that the server writes to, named by its content: `database` or `spool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub name: &'static str,
    pub folder: PathBuf,
}

/// State of a disk.
#[derive(Debug)]
pub struct Room {
    pub name: &'static str,
    /// Free space in bytes for users other than root; `None` when the file system does not report it.
    pub free_bytes: Option<u64>,
    /// Reason why nothing can be written; `None` when writing works.
    pub problem: Option<io::Error>,
}

impl Disk {
    /// Checks that a file can be written, and removes it. Blocks.
    pub fn look(&self) -> Room {
        Room {
            name: self.name,
            free_bytes: free_bytes(&self.folder),
            problem: try_to_write(&self.folder).err(),
        }
    }
}

impl Room {
    /// Returns a description of the problem without paths of the server; `None` when there is none.
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

/// Allocates space in an unnamed file, which disappears when it is closed.
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

/// Creates the reserve file beside an SQLite database. Blocks.
///
/// # Errors
/// Returns the operating system's error, and then leaves no file.
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

/// Removes the reserve file, before work that will free more space. Blocks.
pub fn release(database: &Path) {
    let _ = std::fs::remove_file(reserve_path(database));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writable_folder_has_no_problem_and_no_file_is_left_in_it() {
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
    fn space_is_reserved_until_it_is_released() {
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
