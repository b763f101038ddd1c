//! Looks again, for as long as an answer takes, whether its caller's key or session still stands: a stream, a wait or an
//! export ends with it. One look serves all that are answered by the same key or session at the time.

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

/// A database that does not answer says nothing of a key, and ends nothing.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// What somebody came with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Credential {
    Key(KeyId),
    Session(SessionId),
}

/// What was last read of the keys and sessions whose answers are under way.
#[derive(Debug, Default)]
pub struct KeysInUse(Mutex<HashMap<Credential, (Instant, Option<Seen>)>>);

/// A key, and the session by which it was used.
#[derive(Clone, Debug)]
enum Seen {
    Key(ApiKey),
    Session(StoredSession),
}

impl Seen {
    async fn read(store: &Store, credential: &Credential) -> Result<Option<Self>, StoreError> {
        Ok(match credential {
            Credential::Key(id) => store.key(id).await?.map(|stored| Self::Key(stored.key)),
            Credential::Session(id) => store.session(id).await?.map(Self::Session),
        })
    }

    fn stands_for(&self, role: Role) -> bool {
        let now = clock::wall_now();
        let (standing, key) = match self {
            Self::Key(key) => (key.standing(now), key),
            Self::Session(session) => (session.standing(now), &session.key),
        };
        standing == Standing::Good && key.role >= role
    }
}

impl KeysInUse {
    /// Returns the key or session as it was at most `max_age` ago; `None` when there is none of this id.
    async fn read(&self, store: &Store, id: &Credential, max_age: Duration) -> Result<Option<Seen>, StoreError> {
        // Held while the database is asked, so that many who ask for one key at once ask it once.
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

/// Whose key or session is looked at, and what it must still be good for.
pub struct Watch {
    state: AppState,
    id: Credential,
    role: Role,
    /// Half of what the admin allows: the other half is for what was read a moment before.
    period: Duration,
}

impl Watch {
    /// Returns `None` for who came without a key: a proxy vouches for a name with each request.
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

    /// Returns once the key or session no longer stands.
    pub async fn ended(&self) -> Problem {
        loop {
            sleep(self.period).await;
            if !self.still_stands().await {
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

    /// Has the answer's body end with the key, where it goes out piece by piece: a stream of events, which is never whole,
    /// in order, and any other broken off.
    pub fn over(self, response: Response) -> Response {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_event_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        response.map(|body| {
            let next_look = Instant::now() + self.period;
            let pieces = stream::unfold(
                Some((self, body.into_data_stream(), next_look)),
                move |going| async move {
                    let (watch, mut body, mut next_look) = going?;
                    loop {
                        tokio::select! {
                            // First: who reads on after an hour gets no piece before the look.
                            biased;
                            () = sleep_until(next_look) => {
                                if !watch.still_stands().await {
                                    let broken = || Err(io::Error::other("the caller's key no longer stands").into());
                                    return (!is_event_stream).then(|| (broken(), None));
                                }
                                next_look = Instant::now() + watch.period;
                            }
                            piece = body.next() => {
                                let piece: Result<Bytes, BoxError> = piece?.map_err(Into::into);
                                return Some((piece, Some((watch, body, next_look))));
                            }
                        }
                    }
                },
            );
            // A compressor asks once more after the end.
            Body::from_stream(pieces.fuse())
        })
    }

    async fn still_stands(&self) -> bool {
        let (keys, store) = (&self.state.access.keys_in_use, &self.state.resources.store);
        match timeout(LOOK_TIMEOUT, keys.read(store, &self.id, self.period)).await {
            Ok(Ok(seen)) => seen.is_some_and(|seen| seen.stands_for(self.role)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a key cannot be looked at; what it opened goes on");
                true
            }
            Err(_) => true,
        }
    }
}
