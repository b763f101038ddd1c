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
use super::concurrency_limit::{begin_in_time, take_place};
use super::csrf::require_token;
use super::limits::check_shape;
use super::observe::observe;
use super::pages::show_problems;
use super::request_id::REQUEST_ID;
use super::{compression, problem::Problem, state::AppState};
use crate::memory;

/// What holds for every route, from the outside in: a request id, a log line, its time, no panic that is not answered, limits of
/// time and size, other sites' pages, who the caller is, the caller's place, and that a session's own page sent what changes something.
pub fn wrap(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let limits = &state.access.limits;
    let answer_panics = CatchPanicLayer::custom(|_| -> Response { Problem::internal().into_response() });
    let time_limit = Duration::from_secs(u64::from(limits.request_timeout_sec));
    let guarded = router
        .layer(from_fn_with_state(state.clone(), require_token))
        .layer(DefaultBodyLimit::max(state.access.max_body_bytes))
        .layer(from_fn_with_state(state.clone(), take_place))
        .layer(from_fn_with_state(state.clone(), authenticate))
        .layer(same_site(&state.access))
        .layer(from_fn_with_state(state.clone(), check_shape))
        .layer(from_fn_with_state(time_limit, begin_in_time));
    // Without it no other site's page is told that it may.
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

/// A larger body, of a request or an answer, leaves more behind in the allocator than a server at rest needs.
const LARGE_BYTES: u64 = 1024 * 1024;

/// Has memory given back once a request with a large body, or one of unknown size, is answered or its client is gone, and once
/// there is a large answer, which is as large again as what it is made of.
async fn give_memory_back(request: Request<Body>, next: Next) -> Response {
    let size = axum::body::HttpBody::size_hint(request.body());
    let is_large = size.upper().is_none_or(|bytes| bytes > LARGE_BYTES);
    let _at_the_end = is_large.then_some(GiveBack);
    let response = next.run(request).await;
    let size = axum::body::HttpBody::size_hint(response.body());
    let _of_the_answer = (size.lower() > LARGE_BYTES).then_some(GiveBack);
    response
}

/// Has memory given back when it is dropped, as it is with the future of a request whose client hangs up.
struct GiveBack;

impl Drop for GiveBack {
    fn drop(&mut self) {
        memory::give_back_soon();
    }
}

/// A page of another site may send what changes something with the credentials that a browser or a proxy adds by
/// itself; browsers say when they do that.
fn same_site(access: &Access) -> CsrfLayer<impl Fn(tower_http::csrf::ProtectionError) -> Response + Clone + use<>> {
    let mut layer = CsrfLayer::new();
    for origin in access.cors_origins.iter().filter_map(|origin| origin.to_str().ok()) {
        match layer.clone().add_trusted_origin(origin) {
            Ok(with_it) => layer = with_it,
            Err(error) => tracing::error!(%error, origin, "cors_origin cannot be used"),
        }
    }
    layer.with_rejection_response(|_| Problem::cross_site().into_response())
}

fn cors(access: &Access) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(access.cors_origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PATCH])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::LOCATION, header::RETRY_AFTER, REQUEST_ID])
}
