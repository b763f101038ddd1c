//! Devices of this host, exclusive also against other servers on it, whatever database each uses: one advisory lock a
//! device (flock), in a folder that all servers of the host share. The kernel gives a lock up when the last process
//! that has it is gone; workers inherit the locks of their experiment, so that a device is not given away while a
//! worker of a server that was killed is still dying on it.

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

/// Held by every experiment: shared by most, exclusive by one that runs alone on the host.
const HOST: &str = "host";
/// Held by who waits to have the host alone: nobody starts anything meanwhile, or shared holders would follow each other
/// for ever.
const HOST_WANTED: &str = "host-wanted";
/// Everybody may read it, and so lock it.
const LOCK_MODE: u32 = 0o644;

/// Where the locks of this host are.
#[derive(Clone, Debug)]
pub struct LockFolder(PathBuf);

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another server has it.
    Busy,
    Failed(io::Error),
}

/// Locks, given up when the last who has them is gone: dropping closes a file and does not unlock it for the workers.
#[derive(Debug)]
pub struct Locks(Vec<File>);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Shared,
    Exclusive,
}

impl LockFolder {
    /// The folder, made when it is missing; everyone may lock in it, since servers of several users share devices.
    ///
    /// # Errors
    /// When it cannot be made or written to, is a link, or is another user's who could replace files in it.
    pub fn open(path: &Path) -> io::Result<Self> {
        shared_folder(path)?;
        let folder = Self(path.to_owned());
        folder.file(HOST)?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.lock"))
    }

    /// Opened before it is created: the kernel forbids to open with O_CREAT what another user has in a sticky folder.
    /// Reading is enough for a lock. Others may have put anything into the folder.
    fn file(&self, name: &str) -> io::Result<File> {
        let path = self.path_of(name);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}.lock: {error}"));
        match open_own(&path, File::options().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = open_own(&path, File::options().write(true).create_new(true).mode(LOCK_MODE));
                match made {
                    // Past the umask.
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

    /// What one process of the host at a time has for `key`, and what tells the same lock from others: host and file.
    ///
    /// # Errors
    /// [`LockError::Busy`] while another process has it.
    pub fn seat(&self, key: &str) -> Result<(Locks, String), LockError> {
        let digest = hex::encode(Sha256::digest(key));
        let held = self.lock(&format!("node-{digest}"), Kind::Exclusive)?;
        let metadata = held.metadata().map_err(LockError::Failed)?;
        // An id of the kernel's run: a lock survives no reboot, and no other host has the same id.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(LockError::Failed)?;
        let seat = format!("{}:{}:{}", boot.trim(), metadata.dev(), metadata.ino());
        Ok((Locks(vec![held]), seat))
    }

    /// What an experiment that shares its host needs beside its devices.
    ///
    /// # Errors
    /// [`LockError::Busy`] while an experiment has the host alone, or waits to.
    pub fn share_host(&self) -> Result<Locks, LockError> {
        let held = self.lock(HOST, Kind::Shared)?;
        // Only looked at: whoever wants the host alone must not be kept waiting by those who do not.
        drop(self.lock(HOST_WANTED, Kind::Shared)?);
        Ok(Locks(vec![held]))
    }

    /// Says that an experiment waits to have the host alone: from now on nothing starts on it.
    ///
    /// # Errors
    /// [`LockError::Busy`] while another server's does.
    pub fn want_host(&self) -> Result<Locks, LockError> {
        Ok(Locks(vec![self.lock(HOST_WANTED, Kind::Exclusive)?]))
    }

    /// # Errors
    /// [`LockError::Busy`] while anything runs on the host.
    pub fn take_host(&self) -> Result<Locks, LockError> {
        Ok(Locks(vec![self.lock(HOST, Kind::Exclusive)?]))
    }

    /// # Errors
    /// [`LockError::Busy`], with the first device that another server has.
    pub fn take(&self, leases: &BTreeSet<Lease>) -> Result<Locks, (Lease, LockError)> {
        let one = |lease: &Lease| {
            self.lock(&device_name(lease), Kind::Exclusive)
                .map_err(|error| (lease.clone(), error))
        };
        leases.iter().map(one).collect::<Result<Vec<_>, _>>().map(Locks)
    }

    /// Tells whether anybody has the device. Holds its lock for the moment that this takes.
    pub fn is_taken(&self, lease: &Lease) -> bool {
        matches!(self.lock(&device_name(lease), Kind::Shared), Err(LockError::Busy))
    }

    /// Returns the process that took the device's lock, where the kernel tells. Its workers may have it still when it is
    /// gone.
    pub fn holder(&self, lease: &Lease) -> Option<u32> {
        lock_holder::holder(&self.path_of(&device_name(lease)))
    }

    /// Tells whether an experiment has the host alone, or waits to. Holds its locks for the moment that this takes.
    pub fn is_host_taken(&self) -> bool {
        matches!(self.share_host(), Err(LockError::Busy))
    }
}

impl Locks {
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The same locks once more, for a child to inherit.
    ///
    /// # Errors
    /// When there are too many open files.
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

/// A name without what a path or a file system would stumble over; different names stay different.
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
    fn a_device_is_locked_until_the_last_who_has_the_lock_is_gone() {
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
    fn who_wants_the_host_alone_waits_for_those_who_share_it_and_lets_no_more_in() {
        let (_owner, folder) = folder();
        let (one, other) = (folder.share_host().unwrap(), folder.share_host().unwrap());
        let wanted = folder.want_host().unwrap();
        assert!(folder.share_host().is_err(), "somebody waits for the host");
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
    fn what_others_put_into_the_folder_hangs_nothing_and_leads_nowhere() {
        let (owner, folder) = folder();
        let outside = owner.path().join("outside");
        let place = |name: &str| folder.path().join(format!("{name}.lock"));
        std::os::unix::fs::symlink(&outside, place("GPU-a")).unwrap();
        nix::unistd::mkfifo(&place("GPU-b"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (uuid, found) in [("GPU-a", "a symbolic link"), ("GPU-b", "a named pipe")] {
            let (_, error) = folder.take(&gpu(uuid)).unwrap_err();
            let LockError::Failed(error) = error else {
                panic!("{uuid} is busy")
            };
            let error = error.to_string();
            assert!(error.contains(uuid) && error.contains(found), "{error}");
        }
        assert!(!outside.exists());
        let made = place("host").metadata().unwrap();
        assert_eq!(
            (made.mode() & 0o7777, folder.path().metadata().unwrap().mode() & 0o7777),
            (0o644, 0o1777)
        );
    }

    #[test]
    fn a_seat_is_one_process_s_own_and_is_known_again() {
        let (_owner, folder) = folder();
        let (held, seat) = folder.seat("a/b").unwrap();
        assert!(matches!(folder.seat("a/b"), Err(LockError::Busy)));
        let (_other, elsewhere) = folder.seat("a_b").unwrap();
        assert_ne!(seat, elsewhere);
        drop(held);
        assert_eq!(folder.seat("a/b").unwrap().1, seat);
    }
}
