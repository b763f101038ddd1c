//! Authentication by the session cookie of a browser.

use axum::http::HeaderMap;

use super::cookie::{GivenSession, SessionCookie};
use super::key::is_digest;
use super::{Caller, Origin};
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::access::{SessionToken, Standing, StoredSession};
use joulemark_measurement::clock;

/// Returns the caller who signed in, from the request's session cookie; `None` without the cookie.
///
/// # Errors
/// Returns 400 if the cookie occurs twice, 401 for an unknown or ended session.
pub async fn by_session(state: &AppState, headers: &HeaderMap, origin: &Origin) -> Result<Option<Caller>, Problem> {
    let token = match SessionCookie::of(origin).read(headers)? {
        None => return Ok(None),
        Some(GivenSession::Unknown) => return Err(Problem::session_ended("the session is not one of this server's")),
        Some(GivenSession::Session(token)) => token,
    };
    let StoredSession { key, .. } = good_session(state, &token).await?;
    state.access.last_used.note(&key.id, clock::wall_now());
    let caller = Caller::named(key.name, Some(key.id), key.role, origin, state.access.share_prompts);
    Ok(Some(caller.signed_in(&token)))
}

/// Returns the stored session of a token, or a 401 if it is unknown or has ended.
async fn good_session(state: &AppState, token: &SessionToken) -> Result<StoredSession, Problem> {
    let stored = state.resources.store.session(token.id()).await?;
    let matches = is_digest(&token.digest(), stored.as_ref().map(|stored| &stored.digest));
    let session = stored
        .filter(|_| matches)
        .ok_or_else(|| Problem::session_ended("the session is not one of this server's, or was ended"))?;
    match session.standing(clock::wall_now()) {
        Standing::Good => Ok(session),
        Standing::Expired(at) => Err(Problem::session_ended(&format!("the session expired at {at:.0}"))),
        Standing::Revoked(at) => Err(Problem::session_ended(&format!(
            "the session's key was revoked at {at:.0}"
        ))),
    }
}
