//! Limits on the size of a request, and headers that may occur only once.

use axum::{
    extract::{Request, State as AxumState},
    http::{HeaderMap, HeaderName, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, state::AppState};

/// Headers that may occur only once. If one occurred twice, a proxy could use one value and this server the other.
static SINGLE: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Refuses requests that are too large or ambiguous before anything else is done for them.
pub async fn check_shape(AxumState(state): AxumState<AppState>, request: Request, next: Next) -> Response {
    let limits = &state.access.limits;
    let headers = request.headers();
    let uri_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let problem = if uri_bytes > limits.max_uri_bytes {
        Some(Problem::uri_too_long(limits.max_uri_bytes))
    } else if header_bytes(headers) > limits.max_header_bytes {
        Some(Problem::headers_too_large(limits.max_header_bytes))
    } else {
        let access = &state.access;
        let identity = [&access.identity_header, &access.named_roles.groups_header];
        let twice = SINGLE
            .iter()
            .chain(identity.into_iter().flatten())
            .find(|name| headers.get_all(*name).iter().count() > 1);
        let twice = twice.map(|name| Problem::bad_header(name, "occurs twice; accepted is one"));
        // RFC 9112, 3.2. A proxy that routes by the host and this server must not disagree about it.
        let is_hostless = request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST);
        twice.or(is_hostless.then(|| Problem::bad_header(&header::HOST, "is missing; HTTP/1.1 requires it")))
    };
    match problem {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Returns the size of the headers in bytes.
fn header_bytes(headers: &HeaderMap) -> usize {
    // Counted as on the wire, with colon, space and line end.
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}
