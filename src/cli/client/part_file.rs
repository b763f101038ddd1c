//! Writes files that appear only when complete.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file that appears only when complete: it is written under a temporary name beside the target, and removed if
/// dropped before [`PartFile::finish`].
pub struct PartFile {
    pub file: File,
    part: PathBuf,
    target: PathBuf,
}

impl PartFile {
    /// Creates the temporary file. Returns an error for a folder, and when the file cannot be created.
    pub fn create(target: &Path) -> io::Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::other("it is not the name of a file"))?;
        if target.is_dir() {
            return Err(io::Error::other("it is a folder"));
        }
        let mut part_name = name.to_owned();
        part_name.push(format!(".part-{}", std::process::id()));
        let part = target.with_file_name(part_name);
        let file = File::create_new(&part)?;
        Ok(Self {
            file,
            part,
            target: target.to_owned(),
        })
    }

    /// Syncs the file to disk and renames it to the target.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.target)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // After `finish` there is nothing to remove.
        let _ = fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_old_file_stays_until_the_new_one_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        fs::write(&target, "old").unwrap();
        let mut part = PartFile::create(&target).unwrap();
        part.file.write_all(b"ne").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        drop(part);
        assert_eq!(
            (fs::read(&target).unwrap(), fs::read_dir(folder.path()).unwrap().count()),
            (b"old".to_vec(), 1)
        );
        let mut part = PartFile::create(&target).unwrap();
        part.file.write_all(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(
            (fs::read(&target).unwrap(), fs::read_dir(folder.path()).unwrap().count()),
            (b"new".to_vec(), 1)
        );
        assert!(PartFile::create(folder.path()).is_err());
    }
}
