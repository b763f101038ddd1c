use axum::http::{HeaderMap, header};

use super::is_page;

/// Tells whether a request is a person's with a browser: a page's path, and HTML is accepted.
pub fn is_of_a_person(path: &str, headers: &HeaderMap) -> bool {
    is_page(path) && accepts_html(headers)
}

/// Tells whether HTML is named among what the client accepts, as every browser does.
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
