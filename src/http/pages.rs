//! Pages for people. They load nothing from outside, and show nothing that their caller may not read.

mod sign_in;

use askama::Template;
use axum::{
    Router,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{Html, IntoResponse, Response},
};

use super::access::Caller;
use super::problem::Problem;
use super::state::AppState;

/// Scripts and styles are the program's own files, requests and forms go to this server alone, and no other page may frame
/// these.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // Nobody sees it by the browser's Back after its reader has signed out.
    (header::CACHE_CONTROL, "no-store"),
];

/// What every page has around it.
pub struct Page {
    /// What links begin with, so that they hold below whatever prefix a proxy puts before.
    pub root: &'static str,
    pub title: &'static str,
    /// Whose page it is; `None` of nobody's, and on a server without authentication.
    pub caller_name: Option<String>,
    pub role: Option<&'static str>,
    /// What forms carry; `None` of who has no session, of whom none is asked.
    pub csrf: Option<String>,
}

impl Page {
    pub fn new(root: &'static str, title: &'static str, caller: Option<&Caller>) -> Self {
        Self {
            root,
            title,
            caller_name: caller.and_then(Caller::name).map(str::to_owned),
            role: caller.map(|caller| caller.role().as_str()),
            csrf: caller.and_then(Caller::csrf_token).map(str::to_owned),
        }
    }
}

/// Every page.
pub fn routes() -> Router<AppState> {
    sign_in::routes().layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns a page under a status.
fn shown(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be made");
            Problem::internal().into_response()
        }
    }
}
