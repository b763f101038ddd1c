//! Compression of answers with gzip or zstd, for clients that accept it.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use super::conditional::weaken_compressed;
use super::problem::Problem;
use super::state::AppState;

/// Minimum size of an answer that is compressed; less fits in one packet anyway.
const MIN_BYTES: u64 = 1024;

/// Adds compression to a router. Event streams are excluded, since events must arrive at once, and Parquet, which is
/// compressed already. The level is the fastest, because compression takes time on the threads that serve requests.
pub fn wrap(router: Router<AppState>) -> Router<AppState> {
    let worthwhile = SizeAbove::new(MIN_BYTES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/vnd.apache.parquet"));
    let layer = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(worthwhile);
    router.layer(layer).layer(from_fn(around))
}

/// Compresses answers to `GET` and `HEAD` only, and weakens the tags of compressed answers.
async fn around(mut request: Request, next: Next) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if !is_read {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    // Checked before the handler runs.
    if refuses_all(request.headers()) {
        return Problem::encoding_not_acceptable().into_response();
    }
    weaken_compressed(next.run(request).await)
}

/// Returns whether the client accepts neither uncompressed bytes nor a supported coding (RFC 9110, 12.5.3).
fn refuses_all(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let codings = texts.flat_map(|text| text.split(',')).map(coding).collect::<Vec<_>>();
    let of = |name: &str| {
        codings
            .iter()
            .find(|(coding, _)| coding == name)
            .map(|(_, accepted)| *accepted)
    };
    let others = of("*");
    let uncompressed = of("identity").or(others).unwrap_or(true);
    let compressed = ["gzip", "x-gzip", "zstd"]
        .iter()
        .any(|name| of(name).or(others).unwrap_or(false));
    !uncompressed && !compressed
}

/// Returns whether a client accepts an answer in this coding.
pub fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let codings = texts.flat_map(|text| text.split(',')).map(coding).collect::<Vec<_>>();
    let of = |name: &str| codings.iter().find(|(coding, _)| coding == name);
    of(name).or(of("*")).is_some_and(|(_, accepted)| *accepted)
}

/// Returns the name of a coding in `Accept-Encoding`, and whether its weight is above 0.
fn coding(text: &str) -> (String, bool) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = parameters.trim().to_ascii_lowercase();
    let weight = weight.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
    (
        name.trim().to_ascii_lowercase(),
        weight.is_none_or(|weight| weight > 0.0),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_client_that_accepts_no_available_encoding_is_refused() {
        for (text, refused) in [
            ("", false),
            ("gzip", false),
            ("br", false),
            ("identity;q=0, gzip", false),
            ("identity;q=0, zstd;q=0.1", false),
            ("identity; q=0.0, br", true),
            ("*;q=0", true),
            ("*;q=0, identity", false),
            ("*;q=0, zstd", false),
            ("identity;q=0, *;q=0.5", false),
            ("identity;q=0, gzip;q=0, zstd;q=0", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            assert_eq!(refuses_all(&headers), refused, "{text}");
        }
    }
}
