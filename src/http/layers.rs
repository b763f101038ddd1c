//! The middleware of all routes.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::DefaultBodyLimit,
    http::{Method, Request, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer, csrf::CsrfLayer};

use super::access::{Access, authenticate};
use super::concurrency_limit::{begin_in_time, take_permits};
use super::csrf::require_token;
use super::limits::check_shape;
use super::observe::observe;
use super::pages::show_problems;
use super::request_id::REQUEST_ID;
use super::{compression, problem::Problem, state::AppState};
use crate::memory;

/// Wraps the routes into the middleware. From the outside in: request id and log line, compression, answers to panics,
/// deadline, size limits, cross-site requests, authentication, concurrency limit, and CSRF token.
pub fn wrap(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let limits = &state.access.limits;
    let answer_panics = CatchPanicLayer::custom(|_| -> Response { Problem::internal().into_response() });
    let time_limit = Duration::from_secs(u64::from(limits.request_timeout_sec));
    let guarded = router
        .layer(from_fn_with_state(state.clone(), require_token))
        .layer(DefaultBodyLimit::max(state.access.max_body_bytes))
        .layer(from_fn_with_state(state.clone(), take_permits))
        .layer(from_fn_with_state(state.clone(), authenticate))
        .layer(same_site(&state.access))
        .layer(from_fn_with_state(state.clone(), check_shape))
        .layer(from_fn_with_state(time_limit, begin_in_time));
    // Without it, browsers let no other site's page read answers.
    let opened = if state.access.cors_origins.is_empty() {
        guarded
    } else {
        guarded.layer(cors(&state.access))
    };
    let opened = opened.layer(from_fn(give_memory_back));
    let opened = opened
        .layer(answer_panics)
        .layer(from_fn_with_state(state.clone(), show_problems));
    compression::wrap(opened).layer(from_fn_with_state(state.clone(), observe))
}

/// Size from which a body leaves more memory with the allocator than an idle server needs.
const LARGE_BYTES: u64 = 1024 * 1024;

/// Returns memory to the operating system after a request with a large body, or one of unknown size, and after a large
/// answer, which takes as much memory again as its source.
async fn give_memory_back(request: Request<Body>, next: Next) -> Response {
    let size = axum::body::HttpBody::size_hint(request.body());
    let is_large = size.upper().is_none_or(|bytes| bytes > LARGE_BYTES);
    let _at_the_end = is_large.then_some(GiveBack);
    let response = next.run(request).await;
    let size = axum::body::HttpBody::size_hint(response.body());
    let _of_the_answer = (size.lower() > LARGE_BYTES).then_some(GiveBack);
    response
}

/// Returns memory to the operating system when dropped. A client that disconnects drops the future of its request, and
/// this guard with it.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        memory::give_back_soon();
    }
}

/// Returns the layer that refuses cross-site requests that change something: browsers and proxies add credentials to
/// them too, but browsers mark such requests.
fn same_site(access: &Access) -> CsrfLayer<impl Fn(tower_http::csrf::ProtectionError) -> Response + Clone + use<>> {
    let mut layer = CsrfLayer::new();
    for origin in access.cors_origins.iter().filter_map(|origin| origin.to_str().ok()) {
        match layer.clone().add_trusted_origin(origin) {
            Ok(with_it) => layer = with_it,
            Err(error) => tracing::error!(%error, origin, "cors_origin is not valid"),
        }
    }
    layer.with_rejection_response(|_| Problem::cross_site().into_response())
}

/// Returns the layer that lets pages of the configured origins use the API.
fn cors(access: &Access) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(access.cors_origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::LOCATION, header::RETRY_AFTER, REQUEST_ID])
}
