//! Exclusive use of this host's devices, also among servers with different databases: one advisory lock (flock) for
//! each device, in a folder that all servers of the host share. The kernel releases a lock when the last process that
//! holds it exits. Workers inherit the locks of their experiment, so that a device stays locked while a worker of a
//! killed server is still exiting.

use std::collections::BTreeSet;
use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use joulemark_files::{open_own, shared_folder};
use sha2::{Digest, Sha256};

use super::leases::Lease;
use super::lock_holder;

/// Lock that every experiment holds: shared, or exclusive when the experiment runs alone on the host.
const HOST: &str = "host";
/// Lock that an experiment holds while it waits to run alone on the host. Nothing else starts meanwhile; otherwise new
/// shared holders could make it wait forever.
const HOST_WANTED: &str = "host-wanted";
/// Readable by every user, which is enough to lock it.
const LOCK_MODE: u32 = 0o644;

/// Folder of the lock files of this host.
#[derive(Clone, Debug)]
pub struct LockFolder(PathBuf);

/// Reason why a lock was not acquired.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it.
    Busy,
    Failed(io::Error),
}

/// Acquired locks. Dropping them closes the files; a worker that inherited them still holds the locks.
#[derive(Debug)]
pub struct Locks(Vec<File>);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Shared,
    Exclusive,
}

impl LockFolder {
    /// Opens the lock folder and creates it when it is missing. All users may lock in it, since their servers share
    /// devices.
    ///
    /// # Errors
    /// Returns an error when the folder cannot be created or written to, is a link, or belongs to another user who
    /// could replace files in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        shared_folder(path)?;
        let folder = Self(path.to_owned());
        folder.file(HOST)?;
        Ok(folder)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.lock"))
    }

    /// Opens a lock file, and creates it when it is missing. Opening comes first, because in a sticky folder the kernel
    /// forbids O_CREAT on another user's file. Read access is enough for a lock. Links and special files are rejected,
    /// since any user may have created them.
    fn file(&self, name: &str) -> io::Result<File> {
        let path = self.path_of(name);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}.lock: {error}"));
        match open_own(&path, File::options().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = open_own(&path, File::options().write(true).create_new(true).mode(LOCK_MODE));
                match made {
                    // Regardless of the umask.
                    Ok(file) => drop(file.set_permissions(Permissions::from_mode(LOCK_MODE))),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(named(error)),
                }
                open_own(&path, File::options().read(true)).map_err(named)
            }
            opened => opened.map_err(named),
        }
    }

    fn lock(&self, name: &str, kind: Kind) -> Result<File, LockError> {
        let file = self.file(name).map_err(LockError::Failed)?;
        let locked = match kind {
            Kind::Shared => file.try_lock_shared(),
            Kind::Exclusive => file.try_lock(),
        };
        match locked {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(LockError::Busy),
            Err(TryLockError::Error(error)) => Err(LockError::Failed(error)),
        }
    }

    /// Acquires the lock for a node's key, which one process of the host can hold at a time. Returns it with an
    /// identifier, made of the host's boot id and the lock file's device and inode number.
    ///
    /// # Errors
    /// Returns [`LockError::Busy`] while another process holds the lock.
    pub fn seat(&self, key: &str) -> Result<(Locks, String), LockError> {
        let digest = hex::encode(Sha256::digest(key));
        let held = self.lock(&format!("node-{digest}"), Kind::Exclusive)?;
        let metadata = held.metadata().map_err(LockError::Failed)?;
        // A new boot has a new id, as locks do not survive a reboot; no two hosts have the same id.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(LockError::Failed)?;
        let seat = format!("{}:{}:{}", boot.trim(), metadata.dev(), metadata.ino());
        Ok((Locks(vec![held]), seat))
    }

    /// Acquires the shared host lock, which an experiment needs in addition to the locks of its devices.
    ///
    /// # Errors
    /// Returns [`LockError::Busy`] while another experiment runs alone on the host or waits to.
    pub fn share_host(&self) -> Result<Locks, LockError> {
        let held = self.lock(HOST, Kind::Shared)?;
        // Released at once: holding it would delay an experiment that wants to run alone.
        drop(self.lock(HOST_WANTED, Kind::Shared)?);
        Ok(Locks(vec![held]))
    }

    /// Acquires the lock that announces an experiment which waits to run alone: no other experiment starts on the host.
    ///
    /// # Errors
    /// Returns [`LockError::Busy`] while an experiment of another server holds it.
    pub fn want_host(&self) -> Result<Locks, LockError> {
        Ok(Locks(vec![self.lock(HOST_WANTED, Kind::Exclusive)?]))
    }

    /// Acquires the exclusive host lock, for an experiment that runs alone.
    ///
    /// # Errors
    /// Returns [`LockError::Busy`] while any experiment runs on the host.
    pub fn take_host(&self) -> Result<Locks, LockError> {
        Ok(Locks(vec![self.lock(HOST, Kind::Exclusive)?]))
    }

    /// Acquires the locks of all these devices.
    ///
    /// # Errors
    /// Returns the first device whose lock cannot be acquired, with [`LockError::Busy`] when another process holds it.
    pub fn take(&self, leases: &BTreeSet<Lease>) -> Result<Locks, (Lease, LockError)> {
        let one = |lease: &Lease| {
            self.lock(&device_name(lease), Kind::Exclusive)
                .map_err(|error| (lease.clone(), error))
        };
        leases.iter().map(one).collect::<Result<Vec<_>, _>>().map(Locks)
    }

    /// Returns whether any process holds the device. Locks it for a moment to find out.
    pub fn is_taken(&self, lease: &Lease) -> bool {
        matches!(self.lock(&device_name(lease), Kind::Shared), Err(LockError::Busy))
    }

    /// Returns the process that acquired the device's lock, if the kernel lists it. When that process has exited, its
    /// workers may still hold the lock.
    pub fn holder(&self, lease: &Lease) -> Option<u32> {
        lock_holder::holder(&self.path_of(&device_name(lease)))
    }

    /// Returns whether an experiment runs alone on the host or waits to. Acquires the host's locks for a moment to find
    /// out.
    pub fn is_host_taken(&self) -> bool {
        matches!(self.share_host(), Err(LockError::Busy))
    }
}

impl Locks {
    /// Adds other locks.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Duplicates the file descriptors of the locks, for a child process to inherit.
    ///
    /// # Errors
    /// Returns an error when too many files are open.
    pub fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.0.iter().map(|lock| lock.try_clone().map(OwnedFd::from)).collect()
    }
}

fn device_name(lease: &Lease) -> String {
    match lease {
        Lease::Cpu => "cpu".to_owned(),
        Lease::Gpu(uuid) => file_name(uuid),
    }
}

/// Returns the name with all characters but letters, digits and `-` escaped. Different names give different results.
fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    name.chars().fold(String::new(), |file, c| {
        if plain(c) {
            file + c.encode_utf8(&mut [0; 4])
        } else {
            file + &format!("_{:x}_", u32::from(c))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(uuid: &str) -> BTreeSet<Lease> {
        BTreeSet::from([Lease::Gpu(uuid.to_owned())])
    }

    fn folder() -> (tempfile::TempDir, LockFolder) {
        let owner = tempfile::tempdir().unwrap();
        let folder = LockFolder::open(&owner.path().join("locks")).unwrap();
        (owner, folder)
    }

    #[test]
    fn a_device_is_locked_until_the_last_process_with_its_lock_is_gone() {
        let (_owner, folder) = folder();
        let held = folder.take(&gpu("GPU-a")).unwrap();
        let (busy, error) = folder.take(&gpu("GPU-a")).unwrap_err();
        assert!(busy == Lease::Gpu("GPU-a".to_owned()) && matches!(error, LockError::Busy));
        assert!(folder.take(&gpu("GPU-b")).is_ok() && folder.take(&BTreeSet::from([Lease::Cpu])).is_ok());
        let inherited = held.descriptors().unwrap();
        drop(held);
        assert!(folder.take(&gpu("GPU-a")).is_err(), "a worker still has it");
        drop(inherited);
        assert!(folder.take(&gpu("GPU-a")).is_ok());
    }

    #[test]
    fn an_experiment_that_wants_the_host_alone_waits_for_others_and_lets_no_new_one_start() {
        let (_owner, folder) = folder();
        let (one, other) = (folder.share_host().unwrap(), folder.share_host().unwrap());
        let wanted = folder.want_host().unwrap();
        assert!(folder.share_host().is_err(), "an experiment waits for the host");
        assert!(folder.want_host().is_err(), "only one waits at a time");
        drop(one);
        assert!(folder.take_host().is_err());
        drop(other);
        let alone = folder.take_host().unwrap();
        drop(wanted);
        assert!(folder.share_host().is_err() && folder.take_host().is_err());
        drop(alone);
        assert!(folder.share_host().is_ok());
    }

    #[test]
    fn links_and_pipes_in_the_folder_are_rejected_and_block_nothing() {
        let (owner, folder) = folder();
        let outside = owner.path().join("outside");
        let path_of = |name: &str| folder.path().join(format!("{name}.lock"));
        std::os::unix::fs::symlink(&outside, path_of("GPU-a")).unwrap();
        nix::unistd::mkfifo(&path_of("GPU-b"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (uuid, found) in [("GPU-a", "a symbolic link"), ("GPU-b", "a named pipe")] {
            let (_, error) = folder.take(&gpu(uuid)).unwrap_err();
            let LockError::Failed(error) = error else {
                panic!("{uuid} is busy")
            };
            let error = error.to_string();
            assert!(error.contains(uuid) && error.contains(found), "{error}");
        }
        assert!(!outside.exists());
        let made = path_of("host").metadata().unwrap();
        assert_eq!(
            (made.mode() & 0o7777, folder.path().metadata().unwrap().mode() & 0o7777),
            (0o644, 0o1777)
        );
    }

    #[test]
    fn a_seat_is_held_by_one_process_and_has_the_same_identifier_again() {
        let (_owner, folder) = folder();
        let (held, seat) = folder.seat("a/b").unwrap();
        assert!(matches!(folder.seat("a/b"), Err(LockError::Busy)));
        let (_other, elsewhere) = folder.seat("a_b").unwrap();
        assert_ne!(seat, elsewhere);
        drop(held);
        assert_eq!(folder.seat("a/b").unwrap().1, seat);
    }
}
