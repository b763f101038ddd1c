//! Endings that wait on disk for a database that is away. A file an attempt, there whole or not at all; the database
//! decides, by the attempt, whether it is still wanted.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use joulemark_files::{open_own, private_folder};

use super::{Ending, Store, StoreError};

const SUFFIX: &str = "json";
const LOCK: &str = "lock";

/// A folder of endings, one server's own while any clone lives.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    _only_server: Arc<File>,
}

/// What became of the endings that an earlier server left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    pub stored: usize,
    /// Their attempts had lost their experiments meanwhile.
    pub dropped: usize,
    /// Cannot be stored, and stay where they are.
    pub left: usize,
}

impl Spool {
    /// # Errors
    /// When the folder cannot be made, is a link or open to others' files, or is another server's: two would take each
    /// other's endings for left ones.
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

    fn path(&self, ending: &Ending) -> PathBuf {
        self.folder.join(format!("{}-{}.{SUFFIX}", ending.id, ending.attempt))
    }

    /// It is there after a power cut once this returns. Blocks.
    ///
    /// # Errors
    /// Among others [`io::ErrorKind::StorageFull`]; nothing is left of it then.
    pub fn keep(&self, ending: &Ending) -> io::Result<()> {
        let path = self.path(ending);
        let unfinished = path.with_extension("unfinished");
        let written = write_whole(&unfinished, &serde_json::to_vec(ending)?);
        written.and_then(|()| fs::rename(&unfinished, &path)).inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })?;
        File::open(&self.folder)?.sync_all()
    }

    /// What is in the database need not wait here. Blocks.
    ///
    /// # Errors
    /// When the file stays; it is harmless, since an ending may be stored twice.
    pub fn forget(&self, ending: &Ending) -> io::Result<()> {
        match fs::remove_file(self.path(ending)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// How many endings wait. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn waiting(&self) -> io::Result<usize> {
        let names = fs::read_dir(&self.folder)?.collect::<io::Result<Vec<_>>>()?;
        let is_ending = |entry: &&fs::DirEntry| entry.path().extension().is_some_and(|suffix| suffix == SUFFIX);
        Ok(names.iter().filter(is_ending).count())
    }

    /// Stores what an earlier server left, the oldest experiment first. What has lost its attempt is dropped; what cannot
    /// be read, or belongs to another database, is left for a person to look at.
    ///
    /// # Errors
    /// When the folder cannot be read, or the database is away again.
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
                    tracing::error!(%error, "{shown} is no ending of an attempt; it is left there");
                    drained.left += 1;
                    continue;
                }
            };
            let (id, attempt) = (ending.id, ending.attempt);
            match store.settle(&ending).await {
                Ok(()) => {
                    tracing::info!(experiment = %id, attempt, "its end had waited in {shown}, and is stored now");
                    drained.stored += 1;
                }
                Err(error) if error.is_lost() => {
                    tracing::warn!(experiment = %id, attempt, "{error}: {shown} is dropped");
                    drained.dropped += 1;
                }
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(experiment = %id, attempt, %error, "{shown} cannot be stored; it is left there");
                    drained.left += 1;
                    continue;
                }
            }
            fs::remove_file(&path)?;
        }
        Ok(drained)
    }
}

/// Why endings could not be taken from the spool.
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
