use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, Request, StatusCode, header::CONTENT_TYPE},
    middleware::map_response,
    response::{IntoResponse, Response},
};
use tower::ServiceBuilder;
use tower_http::{
    ServiceBuilderExt,
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, RequestId},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

use super::{problem::Problem, state::AppState};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What holds for every route: a request id, a log line, a body limit, a time limit, and no panic that is not answered.
pub fn wrap(router: Router<AppState>, state: &AppState) -> Router<AppState> {
    let id_header = HeaderName::from_static("x-request-id");
    let stack = ServiceBuilder::new()
        .set_request_id(id_header.clone(), MakeRequestUuid)
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request<_>| {
            let id = request
                .extensions()
                .get::<RequestId>()
                .and_then(|id| id.header_value().to_str().ok());
            tracing::info_span!("http", method = %request.method(), path = request.uri().path(), id)
        }))
        .propagate_request_id(id_header)
        .layer(CatchPanicLayer::custom(|_| -> Response {
            Problem::internal().into_response()
        }))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            REQUEST_TIMEOUT,
        ));
    router
        .layer(DefaultBodyLimit::max(state.max_body_bytes))
        .layer(stack)
        .layer(map_response(explain_timeout))
}

/// The time limit's layer answers without a body; every error of this API is a problem document.
async fn explain_timeout(response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE && !response.headers().contains_key(CONTENT_TYPE) {
        return Problem::unavailable("the request took longer than a minute; try again").into_response();
    }
    response
}
