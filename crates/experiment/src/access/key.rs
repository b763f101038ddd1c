use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::Role;
use joulemark_measurement::quoted;

/// The public part of an API key, which names the key in lists, in the audit log and on the command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub const BYTES: usize = 8;

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether all characters are hexadecimal digits in lower case, so that a key has only one spelling.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The error for a text that is not the id of an API key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not the id of an API key; accepted are 16 hexadecimal digits in lower case, as `joulemark key list` prints them", quoted(.0))]
pub struct NotAKeyId(String);

impl FromStr for KeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, NotAKeyId> {
        if text.len() == 2 * Self::BYTES && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKeyId(text.to_owned()))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An API key without its secret. Several keys may have the same name, the person's, so that a key can be replaced
/// before the old one is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Time of the last use, to about half a minute; `None` where the key was never used.
    pub last_used_at: Option<Timestamp>,
}

/// An API key as the database stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    pub key: ApiKey,
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
}

/// The validity of a key or a session at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    Expired(Timestamp),
    Revoked(Timestamp),
}

impl ApiKey {
    /// Returns whether the key is valid at `now`. At the instant of `expires_at` it is expired.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match (self.revoked_at, self.expires_at) {
            (Some(revoked), _) => Standing::Revoked(revoked),
            (None, Some(expires)) if expires <= now => Standing::Expired(expires),
            _ => Standing::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_when_it_expires_and_at_once_when_revoked() {
        let at = |sec| Timestamp::from_second(sec).unwrap();
        let key = ApiKey {
            id: KeyId::of_bytes(&[1; 8]),
            name: "ada".to_owned(),
            role: Role::Reader,
            created_at: at(0),
            expires_at: Some(at(100)),
            revoked_at: None,
            last_used_at: None,
        };
        assert_eq!(key.standing(at(99)), Standing::Good);
        assert_eq!(key.standing(at(100)), Standing::Expired(at(100)));
        let revoked = ApiKey {
            revoked_at: Some(at(50)),
            ..key
        };
        assert_eq!(revoked.standing(at(51)), Standing::Revoked(at(50)));
    }
}
