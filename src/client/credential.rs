use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use joulemark_files::read_given;
use reqwest::header::HeaderValue;
use thiserror::Error;

/// An API key as it is sent. Never shown.
#[derive(Clone)]
pub struct Credential(HeaderValue);

#[derive(Debug, Error)]
pub enum CredentialError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} can be read by others (mode {mode:04o}), and it holds a key: chmod 600 {path}")]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "{from} holds no API key; accepted is one line such as jm_0123456789abcdef_…, as `joulemark key create` prints it"
    )]
    NoKey { from: String },
}

impl Credential {
    /// # Errors
    /// [`CredentialError::NoKey`] for what cannot be a key; what it is stays out of the message.
    pub fn new(text: &str, from: &str) -> Result<Self, CredentialError> {
        let key = text.trim();
        let good = !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
        let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| good);
        let mut value = value.ok_or_else(|| CredentialError::NoKey { from: from.to_owned() })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The key in a file that is its owner's alone. A pipe is taken as well: it belongs to nobody else.
    ///
    /// # Errors
    /// [`CredentialError`] for a file that others can read, as ssh has it, and for one that holds no key.
    pub fn from_file(path: &Path) -> Result<Self, CredentialError> {
        let unreadable = |source| CredentialError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let (file, text) = read_given(path).map_err(unreadable)?;
        // Of the open file, not of the path: it could be another by then.
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_file() && mode & 0o077 != 0 {
            return Err(CredentialError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let from = path.display().to_string();
        // What is no text is no key.
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
    fn a_file_is_taken_when_it_is_its_owners_alone() {
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
    fn what_is_no_key_is_refused_and_not_shown() {
        for text in ["", " \n", "two words", "geheim\nzwei", "schlüssel"] {
            let error = Credential::new(text, "JOULEMARK_API_KEY").err().unwrap().to_string();
            assert!(error.starts_with("JOULEMARK_API_KEY holds no API key"), "{error}");
            assert!(text.trim().is_empty() || !error.contains(text.trim()), "{error}");
        }
        assert!(matches!(
            Credential::from_file(Path::new("/does/not/exist")),
            Err(CredentialError::Unreadable { .. })
        ));
    }
}
