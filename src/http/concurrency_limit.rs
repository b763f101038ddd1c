//! Limits on how many requests are answered at once, each for a time, and on streams, waits and exports, which last longer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Request, State as AxumState},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use joulemark_measurement::clock::Monotonic;

/// A stream that goes on after its head takes none.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    free: Arc<Semaphore>,
    count: usize,
    time_limit: Duration,
}

impl ConcurrencyLimit {
    pub fn new(count: usize, time_limit: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            count,
            time_limit,
        }
    }
}

/// Answers at once that there is no place, where waiting would only pile up requests, and when an answer has not begun
/// in time.
pub async fn take_slot(AxumState(limit): AxumState<ConcurrencyLimit>, mut request: Request, next: Next) -> Response {
    let Ok(place) = limit.free.clone().try_acquire_owned() else {
        return Problem::too_many_at_once(limit.count).into_response();
    };
    let slot = Slot::new(place, limit.time_limit);
    request.extensions_mut().insert(slot.clone());
    let mut answer = std::pin::pin!(next.run(request));
    loop {
        let left = slot.left();
        if left.is_zero() {
            return Problem::took_too_long(limit.time_limit.as_secs()).into_response();
        }
        tokio::select! {
            biased;
            response = &mut answer => return response,
            // Its end may have been moved meanwhile.
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// A request's own place and time.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Mutex<SlotState>>);

#[derive(Debug)]
struct SlotState {
    place: Option<OwnedSemaphorePermit>,
    since: Monotonic,
    time_limit: Duration,
}

impl Slot {
    fn new(place: OwnedSemaphorePermit, time_limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(SlotState {
            place: Some(place),
            since: Monotonic::now(),
            time_limit,
        })))
    }

    /// For a request that waits for something to happen: it gives its place back, and has as much more time.
    pub fn extend(&self, by: Duration) {
        let mut stayed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stayed.place = None;
        stayed.time_limit += by;
    }

    fn left(&self) -> Duration {
        let stayed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = Duration::from_secs_f64(Monotonic::now().sec_since(stayed.since).max(0.0));
        stayed.time_limit.saturating_sub(gone)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Slot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// Slots for streams, and for requests that wait: they last, and do nearly nothing.
pub type Streams = LastingSlots;

/// Slots for exports: each keeps a core busy from its first byte to its last.
pub type Exports = LastingSlots;

/// Slots of which each is taken for as long as its permit lives.
#[derive(Clone, Debug)]
pub struct LastingSlots {
    free: Arc<Semaphore>,
    count: usize,
}

impl LastingSlots {
    pub fn new(count: impl TryInto<usize>) -> Self {
        let count = count.try_into().unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(count)),
            count,
        }
    }

    /// Returns how many are taken.
    pub fn taken(&self) -> usize {
        self.count.saturating_sub(self.free.available_permits())
    }

    /// Takes one.
    ///
    /// # Errors
    /// Returns the answer that `refuse` makes of their number when all are taken.
    pub fn take(&self, refuse: fn(usize) -> Problem) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = self.free.clone().try_acquire_owned();
        permit.map_err(|_| refuse(self.count))
    }
}
