//! Concurrency limits. A request holds a permit from the identification of its caller until its answer is sent, and its
//! answer must begin before a deadline. A caller may hold only a share of the permits, so that nobody keeps other
//! callers out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{FromRequestParts, Request, State as AxumState},
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};
use hyper::body::{Frame, SizeHint};

use super::access::{Caller, Origin, of_address};
use super::problem::Problem;
use super::state::AppState;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::Share;

/// Paths that need no permit: a supervisor would restart a busy server if its health checks failed.
const WITHOUT_PERMITS: [&str; 2] = ["/healthz", "/readyz"];
/// Bytes of a body or an answer in memory for each permit that it takes.
const BYTES_PER_PERMIT: u64 = 1 << 20;

/// Answers with an error if the answer has not begun before the deadline.
pub async fn begin_in_time(AxumState(time_limit): AxumState<Duration>, mut request: Request, next: Next) -> Response {
    let slot = Slot::new(time_limit);
    request.extensions_mut().insert(slot.clone());
    let mut answer = std::pin::pin!(next.run(request));
    loop {
        let left = slot.left();
        if left.is_zero() {
            return slot.out_of_time(time_limit).into_response();
        }
        tokio::select! {
            biased;
            response = &mut answer => return response,
            // The deadline may have been extended in the meantime.
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// Takes permits for a request, or answers with an error at once: waiting would only pile up requests. A request with a
/// body counts only against its caller's share until the body is complete.
pub async fn take_permits(AxumState(state): AxumState<AppState>, request: Request, next: Next) -> Response {
    if WITHOUT_PERMITS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Some(slot) = request.extensions().get::<Slot>().cloned() else {
        return Problem::internal().into_response();
    };
    let size = request.body().size_hint().upper();
    let max_bytes = state.access.max_body_bytes as u64;
    let weight = permits_for(size.unwrap_or(max_bytes).min(max_bytes));
    let taken = match state.places.try_hold(&holder(&request), weight) {
        Ok(share) => slot.hold(share, request.body().is_end_stream()),
        Err(none_left) => Err(Problem::too_many_at_once(none_left)),
    };
    match taken {
        Ok(()) => slot.hold_until_sent(next.run(request).await),
        Err(problem) => problem.into_response(),
    }
}

/// Returns the name under which a request holds permits: its API key's, its user's, or on public routes its address's.
fn holder(request: &Request) -> String {
    let extensions = request.extensions();
    match (extensions.get::<Caller>(), extensions.get::<Origin>()) {
        (Some(caller), _) => caller.held_as(),
        (None, origin) => origin.map_or_else(String::new, |origin| of_address(origin.address)),
    }
}

/// Returns the number of permits for a body or an answer of this size.
fn permits_for(bytes: u64) -> u32 {
    u32::try_from(bytes / BYTES_PER_PERMIT + 1).unwrap_or(u32::MAX)
}

/// Marks a response whose own limit, such as that on streams, already covers it while it is sent.
#[derive(Clone, Copy, Debug)]
pub struct HasOwnLimit;

/// The permits and the deadline of a request.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Mutex<SlotState>>);

#[derive(Debug)]
struct SlotState {
    share: Option<Share>,
    has_whole_body: bool,
    since: Monotonic,
    time_limit: Duration,
}

impl Slot {
    fn new(time_limit: Duration) -> Self {
        Self(Arc::new(Mutex::new(SlotState {
            share: None,
            has_whole_body: true,
            since: Monotonic::now(),
            time_limit,
        })))
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the request's permits; counts the request against the limit of all callers if its body is complete.
    fn hold(&self, share: Share, has_whole_body: bool) -> Result<(), Problem> {
        let mut state = self.state();
        state.share = Some(share);
        state.has_whole_body = has_whole_body;
        drop(state);
        if has_whole_body { self.enter() } else { Ok(()) }
    }

    /// Counts the request against the limit of all callers.
    ///
    /// # Errors
    /// Returns a [`Problem`] if that limit is reached.
    pub fn enter(&self) -> Result<(), Problem> {
        let mut state = self.state();
        state.has_whole_body = true;
        match &mut state.share {
            Some(share) => share.enter().map_err(Problem::too_many_at_once),
            None => Ok(()),
        }
    }

    /// Replaces the permit of a request that waits for an event by one of the limit on waiting requests, and extends
    /// the deadline.
    pub fn wait_for(&self, time: Duration, permit: Share) {
        let mut state = self.state();
        state.share = Some(permit);
        state.time_limit += time;
    }

    /// Holds permits of the caller's share until the answer is sent. The client decides how long that takes, and the
    /// answer may take megabytes.
    fn hold_until_sent(&self, response: Response) -> Response {
        let Some(mut share) = self.state().share.take() else {
            return response;
        };
        if response.extensions().get::<HasOwnLimit>().is_some() {
            return response;
        }
        share.leave();
        let size = response.body().size_hint().upper().unwrap_or(0);
        if let Err(none_left) = share.resize(permits_for(size)) {
            return Problem::too_many_at_once(none_left).into_response();
        }
        let share = Arc::new(share);
        response.map(|body| Body::new(HeldBody { body, share }))
    }

    /// Returns the time until the deadline.
    fn left(&self) -> Duration {
        let state = self.state();
        let gone = Duration::from_secs_f64(Monotonic::now().sec_since(state.since).max(0.0));
        state.time_limit.saturating_sub(gone)
    }

    /// Returns the problem for a request that missed its deadline.
    fn out_of_time(&self, time_limit: Duration) -> Problem {
        match self.state().has_whole_body {
            true => Problem::took_too_long(time_limit.as_secs()),
            false => Problem::body_too_late(time_limit.as_secs()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Slot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::internal)
    }
}

/// A response body that returns its permits when its last byte has been sent.
struct HeldBody {
    body: Body,
    share: Arc<Share>,
}

/// Bytes of a response that are still to be sent, which hold its permits.
struct HeldBytes {
    bytes: Bytes,
    _share: Arc<Share>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl hyper::body::Body for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let share = self.share.clone();
        let held = |bytes: Bytes| Bytes::from_owner(HeldBytes { bytes, _share: share });
        let polled = Pin::new(&mut self.body).poll_frame(context);
        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
