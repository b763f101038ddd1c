//! Verification of API keys.

use subtle::ConstantTimeEq as _;

use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::access::{ApiKey, Standing, Token};
use joulemark_measurement::clock;

/// Compared with when the key or session does not exist, so that an unknown id takes as long as a wrong secret.
const NO_DIGEST: [u8; 32] = [0; 32];

/// Returns whether a digest equals the stored one, in constant time.
pub fn is_digest(given: &[u8; 32], stored: Option<&[u8; 32]>) -> bool {
    let matches = bool::from(stored.unwrap_or(&NO_DIGEST).ct_eq(given));
    matches && stored.is_some()
}

/// Returns the API key of a text, and records its use.
///
/// # Errors
/// Returns 401 for a text that is not a key of this server, and for an expired or revoked key.
pub async fn good_key(state: &AppState, text: &str) -> Result<ApiKey, Problem> {
    let unknown = || Problem::invalid_key("the key is not one of this server's");
    let token = Token::parse(text.trim()).ok_or_else(unknown)?;
    let stored = state.resources.store.key(token.id()).await?;
    let matches = is_digest(&token.digest(), stored.as_ref().map(|stored| &stored.digest));
    let key = stored.filter(|_| matches).ok_or_else(unknown)?.key;
    let now = clock::wall_now();
    match key.standing(now) {
        Standing::Good => {}
        Standing::Expired(at) => return Err(Problem::invalid_key(&format!("the key expired at {at:.0}"))),
        Standing::Revoked(at) => return Err(Problem::invalid_key(&format!("the key was revoked at {at:.0}"))),
    }
    state.access.last_used.note(&key.id, now);
    Ok(key)
}
