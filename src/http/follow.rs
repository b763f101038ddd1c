//! Event streams (`text/event-stream`, defined by the HTML standard): past events since a given one, then new ones.

mod event;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

pub use event::{ProgressEvent, StateEvent};

use super::concurrency_limit::HasOwnLimit;
use super::problem::Problem;
use super::state::AppState;
use crate::progress::{Listener, Snapshot};
use joulemark_experiment::{ExperimentId, State, Transition};
use joulemark_store::{Share, StoreError};

/// Time after which a client reconnects when it has lost the stream.
const RETRY: Duration = Duration::from_secs(3);
/// Pause after a database error; the events that are due are sent later.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum number of events read from the database at a time for one client.
const PAGE: u32 = 100;

/// Disables the buffering of nginx, which otherwise holds events back until it has 4 KiB.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache, no-transform");

/// Returns the number of the last event that the client has seen; `None` without the header.
///
/// # Errors
/// Returns a [`Problem`] if it is not an id of this service's events.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let name = HeaderName::from_static("last-event-id");
    let Some(value) = headers.get(&name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.trim().parse::<i64>().ok());
    let accepted = "is not the id of an event of this service; accepted is a whole number of at least 0";
    let number = number.filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| Problem::bad_header(&name, accepted))
}

/// The experiments whose events a client wants.
pub enum Scope {
    One(ExperimentId),
    All(EventFilter),
}

/// A filter of all experiments; an empty field does not filter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub states: Vec<State>,
    pub user: Option<String>,
    pub labels: Vec<(String, String)>,
}

impl EventFilter {
    fn wants(&self, transition: &Transition) -> bool {
        let has = |(label, value): &(String, String)| transition.labels.get(label) == Some(value);
        (self.states.is_empty() || self.states.contains(&transition.state))
            && self
                .user
                .as_ref()
                .is_none_or(|user| transition.user.as_ref() == Some(user))
            && self.labels.iter().all(has)
    }
}

/// An event that is due to be sent; serialized only when it is sent.
enum Due {
    Retry,
    StateChange(Arc<Transition>),
    Progress(Arc<Snapshot>),
}

/// A client's event stream and its position. However slowly the client reads, it holds only the events about to be
/// sent.
pub struct Follower {
    state: AppState,
    scope: Scope,
    listener: Listener,
    /// Number of the last change of state that was sent or filtered out.
    seen: i64,
    /// Id of every event that is sent; a client that loses the stream resumes after it.
    last_id: i64,
    due: VecDeque<Due>,
    is_over: bool,
    keep_alive: Duration,
    /// Time at which a keep-alive comment is due. Only an event that is sent postpones it.
    silent_until: Instant,
    /// Time at which the stream ends and the client must reconnect.
    ends_at: Instant,
    _permit: Share,
}

impl Follower {
    /// Creates a stream of all events after the change of state numbered `after`.
    pub fn new(state: AppState, (scope, listener): (Scope, Listener), after: i64, permit: Share) -> Self {
        let limits = &state.access.limits;
        let [keep_alive, lifetime] =
            [limits.stream_keep_alive_sec, limits.stream_lifetime_sec].map(|sec| Duration::from_secs(u64::from(sec)));
        let now = Instant::now();
        Self {
            state,
            scope,
            listener,
            seen: after,
            last_id: after,
            due: VecDeque::from([Due::Retry]),
            is_over: false,
            keep_alive,
            silent_until: now + keep_alive,
            ends_at: now + lifetime,
            _permit: permit,
        }
    }

    /// Adds the past changes of state of the one experiment, read from the database after the listener was created.
    pub fn with_past(mut self, past: Vec<Transition>) -> Self {
        self.take(past.into_iter().map(Arc::new));
        self.seen = self.seen.max(self.listener.begins_at());
        self
    }

    /// Returns the stream as a response.
    pub fn into_response(self) -> Response {
        let events = futures::stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok::<_, Infallible>(event), follower))
        });
        let mut response = Sse::new(events).into_response();
        response.extensions_mut().insert(HasOwnLimit);
        response.headers_mut().insert(header::CACHE_CONTROL, NOT_KEPT);
        response
            .headers_mut()
            .insert(UNBUFFERED, HeaderValue::from_static("no"));
        response
    }

    /// Returns the next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let now = Instant::now();
            if self.state.stopping.is_cancelled() || now >= self.ends_at {
                return None;
            }
            if let Some(due) = self.due.pop_front() {
                self.silent_until = now + self.keep_alive;
                return Some(self.event(&due));
            }
            // Frees the memory that a burst of events took.
            self.due = VecDeque::new();
            if self.is_over {
                return None;
            }
            if now >= self.silent_until {
                self.silent_until = now + self.keep_alive;
                return Some(Event::default().comment(""));
            }
            let is_news = match self.listener.hear(self.seen) {
                Some(heard) => {
                    self.take(heard.moves.into_iter());
                    self.take_progress(heard.progress);
                    !self.due.is_empty() || self.is_over
                }
                None => self.read_on().await,
            };
            if is_news {
                continue;
            }
            tokio::select! {
                () = self.listener.changed() => {}
                () = self.state.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.silent_until.min(self.ends_at)) => {}
            }
        }
    }

    /// Adds the changes of state that the client wants.
    fn take(&mut self, moves: impl Iterator<Item = Arc<Transition>>) {
        for transition in moves {
            if transition.seq <= self.seen {
                continue;
            }
            self.seen = transition.seq;
            let is_wanted = match &self.scope {
                Scope::One(id) => transition.id == *id,
                Scope::All(filter) => filter.wants(&transition),
            };
            if is_wanted {
                self.is_over = matches!(self.scope, Scope::One(_)) && transition.state.is_finished();
                self.due.push_back(Due::StateChange(transition));
            }
        }
    }

    /// Adds the progress reports that the client wants.
    fn take_progress(&mut self, progress: Vec<Arc<Snapshot>>) {
        let is_wanted = match &self.scope {
            Scope::One(_) => !self.is_over,
            // A progress report has neither user nor labels, and looking them up every second would cost too much.
            Scope::All(filter) => filter.user.is_none() && filter.labels.is_empty(),
        };
        if !is_wanted {
            return;
        }
        let in_states = |snapshot: &Arc<Snapshot>| match &self.scope {
            Scope::All(filter) if !filter.states.is_empty() => filter.states.contains(&snapshot.progress.phase.state()),
            _ => true,
        };
        self.due
            .extend(progress.into_iter().filter(in_states).map(Due::Progress));
    }

    /// Reads events from the database that are no longer in memory. Returns true, since there may be more.
    async fn read_on(&mut self) -> bool {
        match self.read_page().await {
            Ok(page) => self.take(page.into_iter().map(Arc::new)),
            Err(error) => {
                tracing::warn!(%error, "past events of a stream cannot be read; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
        true
    }

    /// Reads the next page of changes of state.
    async fn read_page(&mut self) -> Result<Vec<Transition>, StoreError> {
        let up_to = self.state.resources.feed.newest();
        let store = &self.state.resources.store;
        let page = match self.scope {
            Scope::One(id) => store.transitions_of(id, self.seen).await?,
            Scope::All(_) => store.transitions_after(self.seen, PAGE).await?,
        };
        // Every change announced before the read is in the page or was filtered out.
        if page.is_empty() {
            self.seen = self.seen.max(up_to);
        }
        Ok(page)
    }

    /// Serializes an event.
    fn event(&mut self, due: &Due) -> Event {
        let event = match due {
            Due::Retry => return Event::default().retry(RETRY),
            Due::StateChange(transition) => {
                self.last_id = transition.seq;
                event::of_transition(transition)
            }
            Due::Progress(snapshot) => event::of_progress(snapshot),
        };
        event.id(self.last_id.to_string())
    }
}
