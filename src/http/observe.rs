//! The outermost middleware: gives each request an id, counts and times it, and logs one line. Query, headers and body
//! are never logged, since they contain keys and prompts.

use axum::{
    extract::{MatchedPath, Request, State as AxumState},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use super::access::{Peer, Who};
use super::metrics::{RequestLabels, method_name};
use super::request_id::{REQUEST_ID, RequestId};
use super::state::AppState;
use crate::trace::RequestSpan;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;

/// Observes a request and its answer as the client gets it.
pub async fn observe(AxumState(state): AxumState<AppState>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let id = RequestId::choose(request.headers(), peer.as_ref(), &state.access);
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>();
    let parent = request
        .headers()
        .get("traceparent")
        .and_then(|value| value.to_str().ok());
    let shown_route = route.map_or("none", MatchedPath::as_str);
    let trace = state
        .resources
        .traces
        .request(method_name(request.method()), shown_route, parent);
    let mut open = Open {
        route: route.map(|route| route.as_str().to_owned()),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        id,
        peer,
        start: Monotonic::now(),
        trace,
        state,
        is_answered: false,
    };
    open.state.metrics.requests.in_flight.inc();
    request.extensions_mut().insert(Traceparent(open.trace.traceparent()));
    let span = tracing::info_span!("request", request_id = open.id.as_str());
    let mut response = next.run(request).instrument(span).await;
    if let Some(id) = open.id.to_header() {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    guard(response.headers_mut());
    let who = response.extensions_mut().remove::<Who>();
    open.answered(response.status(), who);
    response
}

/// Sets headers that keep browsers from guessing another content type, and shared caches from storing an answer for one
/// caller. A route may set its own `Cache-Control`.
fn guard(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let private = HeaderValue::from_static("private, no-cache");
    headers.entry(header::CACHE_CONTROL).or_insert(private);
}

/// The `traceparent` of the request's span, stored with the experiments that it submits; `None` without tracing.
#[derive(Clone, Debug)]
pub struct Traceparent(pub Option<String>);

/// A request whose answer has not begun. If it is dropped before, the client has disconnected.
struct Open {
    route: Option<String>,
    method: Method,
    path: String,
    id: RequestId,
    peer: Option<Peer>,
    start: Monotonic,
    trace: RequestSpan,
    state: AppState,
    is_answered: bool,
}

impl Open {
    fn answered(&mut self, status: StatusCode, who: Option<Who>) {
        self.is_answered = true;
        let (name, address) = who.map_or((None, None), |who| (who.name, Some(who.address)));
        let address = address.or(self.peer.map(Peer::address));
        self.close(Some(status), name.as_deref(), address);
    }

    fn close(&mut self, status: Option<StatusCode>, user: Option<&str>, address: Option<std::net::IpAddr>) {
        self.trace
            .answered(status.map(|status| status.as_u16()), self.id.as_str());
        let requests = &self.state.metrics.requests;
        requests.in_flight.dec();
        let took_sec = Monotonic::now().sec_since(self.start);
        let labels = RequestLabels::new(&self.method, self.route.as_deref(), status);
        requests.duration_sec.get_or_create(&labels).observe(took_sec);
        tracing::info!(
            target: "joulemark::access",
            request_id = self.id.as_str(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            route = self.route.as_deref(),
            status = status.map(|status| status.as_u16()),
            duration_ms = to_the_microsecond(took_sec * MILLISECONDS_PER_SECOND),
            client = address.map(|address| address.to_string()),
            user,
            "{}",
            if status.is_some() { "answered" } else { "the client went away" }
        );
    }
}

/// Rounds milliseconds to whole microseconds.
fn to_the_microsecond(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_answered {
            let address = self.peer.map(Peer::address);
            self.close(None, None, address);
        }
    }
}
