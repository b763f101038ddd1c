use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::ModelFileError;
use super::read::open_file;

const CHUNK_BYTES: usize = 1 << 20;

/// Computes the SHA-256 of a file in lowercase hexadecimal. It reads every byte, which takes about a second for each
/// gigabyte, so cache the result.
///
/// # Errors
/// Returns [`ModelFileError::Io`] or [`ModelFileError::NotFound`] when the file cannot be read to its end, and
/// [`ModelFileError::NotAFile`] for a pipe, a socket, a device or a folder.
pub fn sha256(path: &Path) -> Result<String, ModelFileError> {
    let (mut file, _) = open_file(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).map_err(|error| ModelFileError::io(path, error))? {
            0 => return Ok(hex::encode(digest.finalize())),
            length => digest.update(&chunk[..length]),
        }
    }
}

/// Computes the SHA-256 of the only file or, with several, of the lines of their hashes and names.
pub(super) fn of_files(paths: &[PathBuf]) -> Result<String, ModelFileError> {
    if let [path] = paths {
        return sha256(path);
    }
    let mut digest = Sha256::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        digest.update(format!("{}  {name}\n", sha256(path)?));
    }
    Ok(hex::encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::{of_files, sha256};

    #[test]
    fn the_hash_is_the_one_of_sha256sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
        assert_eq!(of_files(std::slice::from_ref(&path)).unwrap(), expected);
        assert_ne!(of_files(&[path.clone(), path]).unwrap(), expected);
        assert!(sha256(&folder.path().join("b")).is_err());
    }
}
