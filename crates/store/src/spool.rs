//! The ends of attempts on disk, while the database is away. Each is one file that is written atomically. When it is
//! read back, the database decides by the attempt number whether it is still valid.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use joulemark_files::{open_own, private_folder};

use super::{Ending, Store, StoreError};

const SUFFIX: &str = "json";
const LOCK: &str = "lock";

/// A folder of attempt ends, locked for this server while a clone exists.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    _only_server: Arc<File>,
}

/// The number of spooled ends, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    pub stored: usize,
    /// Their attempts no longer held their experiments.
    pub dropped: usize,
    /// They cannot be stored; their files are left in place.
    pub left: usize,
}

impl Spool {
    /// Opens the folder, creates it when it is missing, and locks it.
    ///
    /// # Errors
    /// Returns an error when the folder cannot be created, is a link, is writable by other users, or is locked by
    /// another server, which would take the files for those of a dead one.
    pub fn open(folder: &Path) -> io::Result<Self> {
        private_folder(folder)?;
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = open_own(&folder.join(LOCK), options)
            .map_err(|error| io::Error::new(error.kind(), format!("{LOCK}: {error}")))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                "another joulemark server uses it; give this one another --spool-dir",
            ),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            _only_server: Arc::new(lock),
        })
    }

    /// Returns the path of an end's file.
    fn path(&self, ending: &Ending) -> PathBuf {
        self.folder.join(format!("{}-{}.{SUFFIX}", ending.id, ending.attempt))
    }

    /// Writes an end to the folder. It survives a power failure once this returns. Blocks.
    ///
    /// # Errors
    /// Returns an error, among others [`io::ErrorKind::StorageFull`], when it cannot be written; no partial file is
    /// left then.
    pub fn keep(&self, ending: &Ending) -> io::Result<()> {
        let path = self.path(ending);
        let unfinished = path.with_extension("unfinished");
        let written = write_whole(&unfinished, &serde_json::to_vec(ending)?);
        written.and_then(|()| fs::rename(&unfinished, &path)).inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })?;
        File::open(&self.folder)?.sync_all()
    }

    /// Deletes the file of an end that the database has stored. Blocks.
    ///
    /// # Errors
    /// Returns an error when the file cannot be deleted. That is harmless, since an end can be stored twice.
    pub fn forget(&self, ending: &Ending) -> io::Result<()> {
        match fs::remove_file(self.path(ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Returns the number of ends in the folder. Blocks.
    ///
    /// # Errors
    /// Returns an error when the folder cannot be read.
    pub fn waiting(&self) -> io::Result<usize> {
        let names = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        let is_ending = |entry: &&fs::DirEntry| entry.path().extension().is_some_and(|suffix| suffix == SUFFIX);
        Ok(names.iter().filter(is_ending).count())
    }

    /// Stores the ends that an earlier server left, oldest experiment first. An end whose attempt no longer holds its
    /// experiment is deleted. An end that cannot be read, or belongs to another database, is left in place for the
    /// operator.
    ///
    /// # Errors
    /// Returns an error when the folder cannot be read or the database is not available.
    pub async fn drain(&self, store: &Store) -> Result<Drained, DrainError> {
        let mut drained = Drained::default();
        let entries = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        let mut paths = entries.into_iter().map(|entry| entry.path()).collect::<Vec<_>>();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == SUFFIX));
        paths.sort();
        for path in paths {
            let shown = path.display();
            let ending = match serde_json::from_slice::<Ending>(&read(&path)?) {
                Ok(ending) => ending,
                Err(error) => {
                    tracing::error!(%error, "{shown} cannot be read as the end of an attempt; the file is left in place");
                    drained.left += 1;
                    continue;
                }
            };
            let (id, attempt) = (ending.id, ending.attempt);
            match store.settle(&ending).await {
                Ok(()) => {
                    tracing::info!(experiment = %id, attempt, "the end of the attempt was stored from {shown}");
                    drained.stored += 1;
                }
                Err(error) if error.is_lost() => {
                    tracing::warn!(experiment = %id, attempt, "{error}: {shown} is deleted");
                    drained.dropped += 1;
                }
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(experiment = %id, attempt, %error, "{shown} cannot be stored; the file is left in place");
                    drained.left += 1;
                    continue;
                }
            }
            fs::remove_file(&path)?;
        }
        Ok(drained)
    }
}

/// The reason why the spool could not be drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    #[error("the spool cannot be read: {0}")]
    Spool(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_own(path, File::options().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = open_own(path, options.write(true).create(true).truncate(true).mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}
