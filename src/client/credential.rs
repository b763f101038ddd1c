//! The API key of a request.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use joulemark_files::read_given;
use reqwest::header::HeaderValue;
use thiserror::Error;

/// API key as the value of `Authorization`. Never shown.
#[derive(Clone)]
pub struct Credential(HeaderValue);

/// Error of reading an API key.
#[derive(Debug, Error)]
pub enum CredentialError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("other users can access {path} (mode {mode:04o}), which contains an API key; run: chmod 600 {path}")]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "{from} contains no API key; it must be one line such as jm_0123456789abcdef_…, as `joulemark key create` prints it"
    )]
    NoKey { from: String },
}

impl Credential {
    /// Creates a credential from the text of a key.
    ///
    /// # Errors
    /// Returns [`CredentialError::NoKey`] for text that cannot be a key. The message does not contain the text.
    pub fn new(text: &str, from: &str) -> Result<Self, CredentialError> {
        let key = text.trim();
        let good = !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
        let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| good);
        let mut value = value.ok_or_else(|| CredentialError::NoKey { from: from.to_owned() })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Reads a key from a file that only its owner can access, or from a pipe.
    ///
    /// # Errors
    /// Returns a [`CredentialError`] for a file that other users can access, and for one that contains no key.
    pub fn from_file(path: &Path) -> Result<Self, CredentialError> {
        let unreadable = |source| CredentialError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let (file, text) = read_given(path).map_err(unreadable)?;
        // The open file is checked, since the path may by now name another one.
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_file() && mode & 0o077 != 0 {
            return Err(CredentialError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let from = path.display().to_string();
        // A key is ASCII, so replaced bytes are rejected.
        Self::new(&String::from_utf8_lossy(&text), &from)
    }

    /// Returns the value of `Authorization`.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_file_is_accepted_only_if_its_owner_alone_has_access() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "jm_a_b\n").unwrap();
        for (mode, good) in [
            (0o600, true),
            (0o400, true),
            (0o640, false),
            (0o644, false),
            (0o602, false),
        ] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match Credential::from_file(&path) {
                Ok(credential) => {
                    assert!(good, "{mode:o}");
                    assert_eq!(credential.header(), "Bearer jm_a_b");
                }
                Err(error) => {
                    assert!(!good && error.to_string().contains("chmod 600"), "{mode:o}: {error}");
                }
            }
        }
    }

    #[test]
    fn text_that_cannot_be_a_key_is_rejected_and_not_shown() {
        for text in ["", " \n", "two words", "geheim\nzwei", "schlüssel"] {
            let error = Credential::new(text, "JOULEMARK_API_KEY").err().unwrap().to_string();
            assert!(error.starts_with("JOULEMARK_API_KEY contains no API key"), "{error}");
            assert!(text.trim().is_empty() || !error.contains(text.trim()), "{error}");
        }
        assert!(matches!(
            Credential::from_file(Path::new("/does/not/exist")),
            Err(CredentialError::Unreadable { .. })
        ));
    }
}
