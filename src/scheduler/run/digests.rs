use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use joulemark_experiment::report::FileDigest;
use joulemark_flops::model_files;

/// SHA-256 of weight files, each read once for as long as its size and time of change stay the same.
#[derive(Clone, Debug, Default)]
pub struct DigestCache(Arc<Mutex<HashMap<Version, String>>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Version {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

impl DigestCache {
    /// Of each file; one that cannot be read is left out, since the worker's load is about to say why.
    pub fn compute(&self, files: &[PathBuf]) -> Vec<FileDigest> {
        files.iter().filter_map(|path| self.of_one(path)).collect()
    }

    fn of_one(&self, path: &Path) -> Option<FileDigest> {
        let metadata = std::fs::metadata(path).ok()?;
        let version = Version {
            path: path.to_owned(),
            bytes: metadata.len(),
            changed: metadata.modified().ok()?,
        };
        let file = path.file_name()?.to_string_lossy().into_owned();
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&version)
            .cloned();
        let sha256 = match known {
            Some(sha256) => sha256,
            None => {
                let sha256 = model_files::sha256(path).ok()?;
                self.0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(version, sha256.clone());
                sha256
            }
        };
        Some(FileDigest { file, sha256 })
    }
}
