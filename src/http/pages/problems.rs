//! Shows problems as pages.

use askama::Template;
use axum::{
    body::to_bytes,
    extract::{Request, State as AxumState},
    http::header,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use super::guarded;
use super::html::page;
use super::layout::Page;
use crate::http::access::{Authentication, Caller, is_of_a_person};
use crate::http::state::AppState;

/// Maximum size of a problem document.
const MAX_BYTES: usize = 1 << 20;

/// Replaces a problem document by a page for requests from browsers, whichever layer produced it.
pub async fn show_problems(AxumState(state): AxumState<AppState>, request: Request, next: Next) -> Response {
    if !is_of_a_person(request.uri().path(), request.headers()) {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    if !is_problem {
        return response;
    }
    let has_keys = state.access.authentication == Authentication::Keys;
    let page = Page::new(&path, response.extensions().get::<Caller>(), has_keys);
    guarded(as_page(page, response).await).await
}

/// Page for a problem.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    page: Page,
    status: u16,
    title: String,
    detail: String,
    /// Invalid fields or parameters, with what is wrong and what is accepted.
    errors: Vec<(String, String)>,
}

async fn as_page(shown_in: Page, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let document = match to_bytes(body, MAX_BYTES).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = document["errors"].as_array().into_iter().flatten();
    let template = ProblemPage {
        page: shown_in,
        status: parts.status.as_u16(),
        title: text(&document["title"]),
        detail: text(&document["detail"]),
        errors: errors
            .map(|error| (text(&error["pointer"]), text(&error["detail"])))
            .collect(),
    };
    let mut shown = match page(parts.status, &template) {
        Ok(shown) => shown,
        Err(problem) => problem.into_response(),
    };
    for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE, header::ALLOW] {
        if let Some(value) = parts.headers.get(&name) {
            shown.headers_mut().insert(name, value.clone());
        }
    }
    shown.extensions_mut().extend(parts.extensions);
    shown
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    #[test]
    fn a_browser_is_recognized_by_accepting_html_outside_the_api() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (path, accept, is_person) in [
            ("/", browser, true),
            ("/experiments/x", browser, true),
            ("/v1/experiments", browser, false),
            ("/v1x", browser, true),
            ("/docs/", browser, false),
            ("/", "*/*", false),
            ("/", "application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(is_of_a_person(path, &headers), is_person, "{path} {accept}");
        }
    }
}
