//! Recognition of requests that a person makes with a browser.

use axum::http::{HeaderMap, header};

use super::is_page;

/// Returns whether a person with a browser made the request: it asks for a page and accepts HTML.
pub fn is_of_a_person(path: &str, headers: &HeaderMap) -> bool {
    is_page(path) && accepts_html(headers)
}

/// Returns whether the `Accept` header names HTML, as that of every browser does.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut texts = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    texts.any(|text| {
        text.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
    })
}
