use std::fmt;

use rand::{TryRngCore as _, rand_core::OsError, rngs::OsRng};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::key::{KeyId, is_hex};

const PREFIX: &str = "jm_";
const SECRET_BYTES: usize = 32;

/// An API key as its owner has it: `jm_`, the key's public id, `_`, 256 random bits in hex.
///
/// Only its SHA-256 is stored. A slow hash would protect passwords that can be guessed; 256 random bits cannot, and a
/// fast hash cannot be used to keep the server busy.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: KeyId,
    secret: String,
}

/// The error that the operating system's random number generator has no randomness to give; a later try may succeed.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct NoRandomness(#[from] OsError);

impl Token {
    /// Generates a key with the operating system's random number generator.
    ///
    /// # Errors
    /// Returns an error when the generator has no randomness to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; KeyId::BYTES + SECRET_BYTES];
        OsRng.try_fill_bytes(&mut random)?;
        let (id, secret) = random.split_at(KeyId::BYTES);
        Ok(Self {
            id: KeyId::of_bytes(id),
            secret: hex::encode(secret),
        })
    }

    /// Parses a key as a client sends it; returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let good = secret.len() == 2 * SECRET_BYTES && is_hex(secret);
        good.then_some(Self {
            id: id.parse().ok()?,
            secret: secret.to_owned(),
        })
    }

    /// Returns the key's public id.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the SHA-256 of the whole key, which is what is stored.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.reveal().as_bytes()).into()
    }

    /// Returns the whole key, to be shown to its owner once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

/// Leaves the secret out, since debug output ends up in logs.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({PREFIX}{}_…)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_key_reads_back_and_no_two_are_alike() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_eq!(Token::parse(&one.reveal()), Some(one.clone()));
        assert_ne!(one.id(), other.id());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn a_key_has_one_spelling_and_its_debug_text_no_secret() {
        let token = Token::generate().unwrap();
        let text = token.reveal();
        for other in [
            text.to_uppercase(),
            format!("{text}0"),
            text[..text.len() - 1].to_owned(),
            format!(" {text}"),
            text.replacen("jm_", "", 1),
        ] {
            assert_eq!(Token::parse(&other), None, "{other}");
        }
        assert!(!format!("{token:?}").contains(&token.secret));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(jm_)?.{0,120}") {
            if let Some(token) = Token::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }
}
