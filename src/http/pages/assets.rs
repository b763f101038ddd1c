//! Serves the files that pages load.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use sha2::{Digest as _, Sha256};

use crate::http::conditional::Condition;
use crate::http::kept::{Kept, Shelf};
use crate::http::problem::{self, Problem};

const SCRIPT: &str = include_str!("joulemark.js");
const ICON: &str = include_str!("icon.svg");

/// Styles of the pages and of the charts.
pub static STYLE: LazyLock<String> =
    LazyLock::new(|| [include_str!("joulemark.css"), joulemark_charts::STYLE].concat());

const VERSION_BYTES: usize = 8;
/// Assets never change under a URL, since it contains a hash of their content.
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Returns the version in the URLs of assets: a hash of their content.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut digest = Sha256::new();
        for text in [SCRIPT, ICON, STYLE.as_str()] {
            digest.update(text);
        }
        hex::encode(&digest.finalize()[..VERSION_BYTES])
    });
    &VERSION
}

/// Serves an asset. One of another version does not exist.
pub async fn asset(
    Path((asked, file)): Path<(String, String)>,
    uri: Uri,
    condition: Condition,
    headers: HeaderMap,
) -> Response {
    static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::default);
    let found = match file.as_str() {
        "joulemark.css" => Some(("text/css; charset=utf-8", STYLE.as_str())),
        "joulemark.js" => Some(("text/javascript; charset=utf-8", SCRIPT)),
        "icon.svg" => Some(("image/svg+xml", ICON)),
        _ => None,
    };
    let Some((content_type, text)) = found.filter(|_| asked == version()) else {
        return problem::no_such_route(uri).await.into_response();
    };
    let make = async || Kept::new(HeaderValue::from_static(content_type), text.into()).await;
    let answered: Result<Response, Problem> = match SHELF.get(&file, make).await {
        Ok(kept) => kept.answer(&condition, &headers),
        Err(problem) => Err(problem),
    };
    answered.map_or_else(axum::response::IntoResponse::into_response, |mut response| {
        response.headers_mut().insert(header::CACHE_CONTROL, FOR_A_YEAR);
        response
    })
}
