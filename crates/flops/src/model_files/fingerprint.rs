use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::resolve::parts;

/// State of each file of a model: device and inode, size, and the times of the last change of content and of inode. Two
/// equal fingerprints mean that no file was replaced or written in between.
pub type Fingerprint = Vec<(PathBuf, [i128; 5])>;

/// Reads the fingerprint of a model's path as [`resolve`](super::resolve()) returned it: of the GGUF with its shards,
/// or of every entry of the folder.
///
/// # Errors
/// Returns an error when the folder cannot be read, or one of the files is missing.
pub fn fingerprint(path: &Path) -> std::io::Result<Fingerprint> {
    let mut files = parts(path)?;
    files.push(path.to_owned());
    files.sort();
    let of = |file: PathBuf| {
        let metadata = std::fs::metadata(&file)?;
        let nanoseconds = |sec: i64, nsec: i64| i128::from(sec) * 1_000_000_000 + i128::from(nsec);
        let facts = [
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.size().into(),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        ];
        Ok((file, facts))
    };
    files.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_fingerprint_stays_until_a_file_is_written_added_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("config.json"), "{}").unwrap();
        let first = fingerprint(folder.path()).unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), first);
        fs::write(path("config.json"), "{ }").unwrap();
        let written = fingerprint(folder.path()).unwrap();
        assert_ne!(written, first);
        fs::write(path("model.safetensors"), "").unwrap();
        let added = fingerprint(folder.path()).unwrap();
        assert_ne!(added, written);
        fs::write(path("new"), "{ }").unwrap();
        fs::rename(path("new"), path("config.json")).unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), added);
        assert!(fingerprint(&path("none")).is_err());
    }
}
