//! Hashes model files and caches the hashes.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use joulemark_experiment::report::FileDigest;
use joulemark_flops::model_files;

/// Cache of the SHA-256 of weight files. A file is read again only when its size or modification time changes.
#[derive(Clone, Debug, Default)]
pub struct DigestCache {
    known: Arc<Mutex<HashMap<Version, String>>>,
    /// Lock of the request whose files are being read: one request at a time.
    turn: Arc<AsyncMutex<()>>,
}

/// Hashes of a list of files.
#[derive(Clone, Debug, Default)]
pub struct Hashes {
    pub known: Vec<FileDigest>,
    /// Names of the files that were not read.
    pub unread: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

impl DigestCache {
    /// Returns the digest of each file. Omits a file that cannot be read, since the worker will report the error when
    /// it loads the model.
    pub fn compute(&self, files: &[PathBuf]) -> Vec<FileDigest> {
        self.compute_while(files, || true).known
    }

    /// Returns the digest of each file. Before a file without a cached digest is read, asks `may_read`; when that
    /// returns false, the file is listed as unread.
    pub fn compute_while(&self, files: &[PathBuf], may_read: impl Fn() -> bool) -> Hashes {
        let mut hashes = Hashes::default();
        for path in files {
            let Some((file, version)) = version_of(path) else {
                continue;
            };
            let known = self.known().get(&version).cloned();
            if let Some(sha256) = known {
                hashes.known.push(FileDigest { file, sha256 });
            } else if !may_read() {
                hashes.unread.push(file);
            } else if let Ok(sha256) = model_files::sha256(path) {
                self.known().insert(version, sha256.clone());
                hashes.known.push(FileDigest { file, sha256 });
            }
        }
        hashes
    }

    /// Waits until no other request reads files. Returns the lock.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Version, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a file's name and the metadata that change with its content.
fn version_of(path: &Path) -> Option<(String, Version)> {
    let metadata = std::fs::metadata(path).ok()?;
    let version = Version {
        path: path.to_owned(),
        bytes: metadata.len(),
        changed: metadata.modified().ok()?,
    };
    Some((path.file_name()?.to_string_lossy().into_owned(), version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_digests_are_always_returned_and_files_without_one_may_be_left_unread() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| folder.path().join(name));
        for file in &files {
            std::fs::write(file, "x").unwrap();
        }
        let cache = DigestCache::default();
        let first = cache.compute(&files[..1]);
        assert_eq!(first[0].file, "a");
        let hashes = cache.compute_while(&files, || false);
        assert_eq!(hashes.known, first);
        assert_eq!(hashes.unread, ["b"]);
        assert_eq!(cache.compute_while(&files, || true).known.len(), 2);
        assert!(cache.compute_while(&files, || false).unread.is_empty());
    }
}
