use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use rand::{TryRngCore as _, rngs::OsRng};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::key::is_hex;
use super::{ApiKey, NoRandomness, Standing};
use joulemark_measurement::quoted;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// The public part of a session, which names it in the database and in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The error for a text that is not the id of a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not the id of a session; accepted are 16 hexadecimal digits in lower case", quoted(.0))]
pub struct NotASessionId(String);

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        if text.len() == 2 * ID_BYTES && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotASessionId(text.to_owned()))
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A session token as the browser sends it: the session's public id, `.`, 256 random bits in hex.
///
/// Only its SHA-256 is stored, for the reason given at [`Token`](super::Token).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    id: SessionId,
    secret: String,
}

impl SessionToken {
    /// Generates a token with the operating system's random number generator.
    ///
    /// # Errors
    /// Returns an error when the generator has no randomness to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; ID_BYTES + SECRET_BYTES];
        OsRng.try_fill_bytes(&mut random)?;
        let (id, secret) = random.split_at(ID_BYTES);
        Ok(Self {
            id: SessionId(hex::encode(id)),
            secret: hex::encode(secret),
        })
    }

    /// Parses a token as a browser sends it; returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let good = secret.len() == 2 * SECRET_BYTES && is_hex(secret);
        good.then_some(Self {
            id: id.parse().ok()?,
            secret: secret.to_owned(),
        })
    }

    /// Returns the session's public id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Returns the SHA-256 of the whole token, which is what is stored.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.reveal().as_bytes()).into()
    }

    /// Returns the CSRF token of this session's forms. Neither the secret nor the stored digest can be computed from
    /// it, nor it from the digest.
    pub fn csrf(&self) -> CsrfToken {
        let digest = Sha256::new_with_prefix("joulemark csrf token of ").chain_update(self.reveal());
        CsrfToken(hex::encode(digest.finalize()))
    }

    /// Returns the whole token, for the session's own browser.
    pub fn reveal(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// Leaves the secret out, since debug output ends up in logs.
impl fmt::Debug for SessionToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionToken({}.…)", self.id)
    }
}

/// A token in a form that proves that the form was made for this session; pages of other sites cannot know it.
#[derive(Clone, PartialEq, Eq)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// Returns the token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Leaves the token out.
impl fmt::Debug for CsrfToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CsrfToken(…)")
    }
}

/// A session as the database stores it, with its API key as the key is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    pub id: SessionId,
    /// SHA-256 of the whole token.
    pub digest: [u8; 32],
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub key: ApiKey,
}

impl StoredSession {
    /// Creates a session that begins now and lasts for `lifetime`, but not longer than its key.
    pub fn new(token: &SessionToken, key: ApiKey, now: Timestamp, lifetime: SignedDuration) -> Self {
        let end = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        Self {
            id: token.id().clone(),
            digest: token.digest(),
            created_at: now,
            expires_at: key.expires_at.map_or(end, |of_key| of_key.min(end)),
            key,
        }
    }

    /// Returns whether the session is valid at `now`. It ends with its key, and at the instant of `expires_at`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.key.standing(now) {
            Standing::Good if self.expires_at <= now => Standing::Expired(self.expires_at),
            of_key => of_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Role, Token};
    use super::*;

    #[test]
    fn a_new_session_reads_back_and_no_two_are_alike() {
        let (one, other) = (SessionToken::generate().unwrap(), SessionToken::generate().unwrap());
        assert_eq!(SessionToken::parse(&one.reveal()), Some(one.clone()));
        assert_ne!(one.id(), other.id());
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.csrf(), other.csrf());
    }

    #[test]
    fn nothing_that_is_shown_or_kept_tells_the_secret() {
        let token = SessionToken::generate().unwrap();
        let secret = &token.secret;
        let csrf = token.csrf();
        for shown in [
            format!("{token:?}"),
            format!("{csrf:?}"),
            csrf.as_str().to_owned(),
            hex::encode(token.digest()),
        ] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!format!("{csrf:?}").contains(csrf.as_str()));
        assert_ne!(
            csrf.as_str(),
            hex::encode(token.digest()),
            "who reads the database has no token for forms"
        );
    }

    #[test]
    fn a_session_lasts_no_longer_than_its_key() {
        let at = |sec| Timestamp::from_second(sec).unwrap();
        let token = SessionToken::generate().unwrap();
        let of_a_key_until = |expires_at| {
            let key = ApiKey {
                id: Token::generate().unwrap().id().clone(),
                name: "ada".to_owned(),
                role: Role::Reader,
                created_at: at(0),
                expires_at,
                revoked_at: None,
                last_used_at: None,
            };
            StoredSession::new(&token, key, at(10), SignedDuration::from_secs(100))
        };
        assert_eq!(of_a_key_until(None).expires_at, at(110));
        assert_eq!(of_a_key_until(Some(at(500))).expires_at, at(110));
        let short = of_a_key_until(Some(at(50)));
        assert_eq!(short.expires_at, at(50));
        assert_eq!(short.standing(at(49)), Standing::Good);
        assert_eq!(short.standing(at(50)), Standing::Expired(at(50)));
        let long = of_a_key_until(None);
        assert_eq!(long.standing(at(109)), Standing::Good);
        assert_eq!(long.standing(at(110)), Standing::Expired(at(110)));
        let revoked = StoredSession {
            key: ApiKey {
                revoked_at: Some(at(20)),
                ..long.key.clone()
            },
            ..long
        };
        assert_eq!(revoked.standing(at(21)), Standing::Revoked(at(20)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9a-f.]{0,90}|.{0,90}") {
            if let Some(token) = SessionToken::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }
}
