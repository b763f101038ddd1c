//! How much of everything a request may have, and what must not be in it twice.

use axum::{
    extract::{Request, State as AxumState},
    http::{HeaderMap, HeaderName, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, state::AppState};

/// Headers that say one thing. Given twice, a proxy may go by the one and we by the other.
static SINGLE: [HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// Refuses what is too large or ambiguous before anything is done for it.
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
        let twice = twice.map(|name| Problem::bad_header(name, "is there twice; accepted is one"));
        // RFC 9112, 3.2: whoever routes by the host and whoever does not must not disagree.
        let is_hostless = request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST);
        twice.or(is_hostless.then(|| Problem::bad_header(&header::HOST, "is not there; HTTP/1.1 asks for it")))
    };
    match problem {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    // As on the wire, with the colon, the space and the line's end.
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}
