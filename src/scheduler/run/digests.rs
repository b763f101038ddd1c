use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use joulemark_experiment::report::FileDigest;
use joulemark_flops::model_files;

/// SHA-256 of weight files, each read once for as long as its size and time of change stay the same.
#[derive(Clone, Debug, Default)]
pub struct DigestCache {
    known: Arc<Mutex<HashMap<Version, String>>>,
    /// Had by the request for which files are read: one at a time.
    turn: Arc<AsyncMutex<()>>,
}

/// What is known of files.
#[derive(Clone, Debug, Default)]
pub struct Hashes {
    pub known: Vec<FileDigest>,
    /// Names of files that were left unread.
    pub unread: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

impl DigestCache {
    /// Returns the digest of each file; one that cannot be read is left out, since the worker's load is about to say why.
    pub fn compute(&self, files: &[PathBuf]) -> Vec<FileDigest> {
        self.compute_while(files, || true).known
    }

    /// Returns the digest of each file, and which were left unread, since before them it was no time to read.
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

    /// Waits until no other request has files read.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Version, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a file's name, and what of it changes when its content does.
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
    fn what_is_known_is_told_at_any_time_and_what_is_not_is_left_unread() {
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
