use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::Role;
use joulemark_measurement::quoted;

/// The public part of an API key: names it in lists, in the audit log and on the command line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub const BYTES: usize = 8;

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self(hex::encode(bytes))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tells whether all are hexadecimal digits, lower case only, so that a key has one spelling.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A text that is no key's id: ask for another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is no key's id; accepted are 16 digits of lower-case hex, as `joulemark key list` prints them", quoted(.0))]
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

/// An API key without what would let anybody use it. Several keys may have one name: it is the person's, so that a key
/// can be replaced before the old one is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub role: Role,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// To about half a minute; null when it never was.
    pub last_used_at: Option<Timestamp>,
}

/// As the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    pub key: ApiKey,
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
}

/// Whether a key still opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Good,
    Expired(Timestamp),
    Revoked(Timestamp),
}

impl ApiKey {
    /// It ends in the very moment that it expires.
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
