//! Repeated checks of the caller's key or session while an answer takes: a stream, a wait or an export ends when the
//! key does. Answers under the same key share one check.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::header;
use axum::response::Response;
use futures::{StreamExt as _, stream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Caller;
use crate::http::{problem::Problem, state::AppState};
use joulemark_experiment::access::{ApiKey, KeyId, Role, SessionId, Standing, StoredSession};
use joulemark_measurement::clock;
use joulemark_store::{Store, StoreError};

/// Maximum time for one check. If the database does not answer, the key is assumed valid.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// The key or session that a request was made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Credential {
    Key(KeyId),
    Session(SessionId),
}

/// The latest state read of each key and session whose answers are under way.
#[derive(Debug, Default)]
pub struct KeysInUse(Mutex<HashMap<Credential, (Instant, Option<Seen>)>>);

/// A key, or a session with its key, as read from the database.
#[derive(Clone, Debug)]
enum Seen {
    Key(ApiKey),
    Session(StoredSession),
}

impl Seen {
    /// Reads the key or session; `None` if it does not exist.
    async fn read(store: &Store, credential: &Credential) -> Result<Option<Self>, StoreError> {
        Ok(match credential {
            Credential::Key(id) => store.key(id).await?.map(|stored| Self::Key(stored.key)),
            Credential::Session(id) => store.session(id).await?.map(Self::Session),
        })
    }

    /// Returns whether it is still valid and its key still has this role.
    fn is_valid_for(&self, role: Role) -> bool {
        let now = clock::wall_now();
        let (standing, key) = match self {
            Self::Key(key) => (key.standing(now), key),
            Self::Session(session) => (session.standing(now), &session.key),
        };
        standing == Standing::Good && key.role >= role
    }
}

impl KeysInUse {
    /// Returns the key or session as it was at most `max_age` ago; `None` if it does not exist.
    async fn read(&self, store: &Store, id: &Credential, max_age: Duration) -> Result<Option<Seen>, StoreError> {
        // Held during the database query, so that concurrent checks of one key query once.
        let mut read = self.0.lock().await;
        if let Some((at, seen)) = read.get(id)
            && at.elapsed() < max_age
        {
            return Ok(seen.clone());
        }
        let seen = Seen::read(store, id).await?;
        read.retain(|_, (at, _)| at.elapsed() < max_age);
        read.insert(id.clone(), (Instant::now(), seen.clone()));
        Ok(seen)
    }
}

/// The repeated check of one key or session, and the role that it must still have.
pub struct Watch {
    state: AppState,
    id: Credential,
    role: Role,
    /// Half of the time that the admin allows; the shared state may be older by the other half.
    period: Duration,
}

impl Watch {
    /// Returns the check for a caller; `None` for a caller without a key, for whom a proxy vouches at each request.
    pub fn new(state: &AppState, caller: &Caller) -> Option<Self> {
        let session = caller.session_id().map(|id| Credential::Session(id.clone()));
        let key = || caller.key_id().map(|id| Credential::Key(id.clone()));
        Some(Self {
            id: session.or_else(key)?,
            role: caller.role(),
            period: Duration::from_secs(u64::from(state.access.limits.stream_check_sec)) / 2,
            state: state.clone(),
        })
    }

    /// Waits until the key or session is no longer valid, and returns the problem to answer with.
    pub async fn ended(&self) -> Problem {
        loop {
            sleep(self.period).await;
            if !self.is_still_valid().await {
                return match self.id {
                    Credential::Key(_) => {
                        Problem::invalid_key("the key was revoked, has expired or lost its role meanwhile")
                    }
                    Credential::Session(_) => {
                        Problem::session_ended("the session or its key was ended, or the key lost its role, meanwhile")
                    }
                };
            }
        }
    }

    /// Ends the body of an answer when the key is no longer valid, if the body is streamed. An event stream, which has
    /// no natural end, ends cleanly; any other body breaks off.
    pub fn over(self, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_event_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        response.map(|body| {
            let next_check = Instant::now() + self.period;
            let pieces = stream::unfold(
                Some((self, body.into_data_stream(), next_check)),
                move |going| async move {
                    let (watch, mut body, mut next_check) = going?;
                    loop {
                        tokio::select! {
                            // Checked first: a client that pauses for an hour gets no more data before the check.
                            biased;
                            () = sleep_until(next_check) => {
                                if !watch.is_still_valid().await {
                                    let broken = || Err(io::Error::other("the caller's key is no longer valid").into());
                                    return (!is_event_stream).then(|| (broken(), None));
                                }
                                next_check = Instant::now() + watch.period;
                            }
                            piece = body.next() => {
                                let piece: Result<Bytes, BoxError> = piece?.map_err(Into::into);
                                return Some((piece, Some((watch, body, next_check))));
                            }
                        }
                    }
                },
            );
            // A compressor polls once more after the end.
            Body::from_stream(pieces.fuse())
        })
    }

    /// Returns whether the key is valid; `true` if the database does not answer.
    async fn is_still_valid(&self) -> bool {
        let (keys, store) = (&self.state.access.keys_in_use, &self.state.resources.store);
        match timeout(CHECK_TIMEOUT, keys.read(store, &self.id, self.period)).await {
            Ok(Ok(seen)) => seen.is_some_and(|seen| seen.is_valid_for(self.role)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a key cannot be checked now; answers under it continue");
                true
            }
            Err(_) => true,
        }
    }
}
