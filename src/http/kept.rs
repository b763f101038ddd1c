//! A cache of documents that are the same for all callers. Each is built and compressed once, so that repeated requests
//! cost no CPU time.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;

use super::compression::accepts;
use super::conditional::{Condition, EntityTag, Strength, answer};
use super::problem::Problem;

/// The supported codings, best first.
const CODINGS: [&str; 2] = ["zstd", "gzip"];

/// Maximum number of documents in a cache; it is emptied when full. More are requested only under invented names.
const MAX_KEPT: usize = 64;

/// A document, uncompressed and in each coding.
pub struct Kept {
    content_type: HeaderValue,
    tag: EntityTag,
    plain: Bytes,
    packed: Vec<(&'static str, Bytes)>,
}

impl Kept {
    /// Compresses a document in each coding.
    ///
    /// # Errors
    /// Returns a [`Problem`] if the compression fails.
    pub async fn new(content_type: HeaderValue, plain: Bytes) -> Result<Self, Problem> {
        let digest = hex::encode(Sha256::digest(&plain));
        let mut packed = Vec::new();
        for coding in CODINGS {
            packed.push((coding, pack(plain.clone(), coding).await?));
        }
        Ok(Self {
            content_type,
            tag: EntityTag::new(Strength::Strong, &["kept", &digest]),
            plain,
            packed,
        })
    }

    /// Answers with the document in a coding that the client accepts, or with a 304 if the client has it.
    ///
    /// # Errors
    /// Never fails for a cached document.
    pub fn answer(&self, condition: &Condition, headers: &HeaderMap) -> Result<Response, Problem> {
        answer(&self.tag, condition, || {
            let packed = self.packed.iter().find(|(coding, _)| accepts(headers, coding));
            let bytes = packed.map_or(&self.plain, |(_, bytes)| bytes);
            let mut response = bytes.clone().into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, self.content_type.clone());
            if let Some((coding, _)) = packed {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            Ok(response)
        })
    }
}

/// Compresses bytes in a coding.
async fn pack(plain: Bytes, coding: &'static str) -> Result<Bytes, Problem> {
    let service = service_fn(move |_: Request| {
        let plain = plain.clone();
        async move { Ok::<_, Infallible>(plain.into_response()) }
    });
    let mut request = Request::new(Body::empty());
    let accepted = HeaderValue::from_static(coding);
    request.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
    let compressed = CompressionLayer::new()
        .compress_when(|_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| true)
        .layer(service);
    let Ok(response) = compressed.oneshot(request).await;
    let packed = to_bytes(Body::new(response.into_body()), usize::MAX).await;
    packed.map_err(|error| {
        tracing::error!(%error, coding, "a document cannot be compressed");
        Problem::internal()
    })
}

/// A cache of documents by name, each built at the first request.
#[derive(Default)]
pub struct Shelf(Mutex<HashMap<String, Arc<Kept>>>);

impl Shelf {
    /// Returns the document with this name, and builds it with `make` if it is missing. Concurrent requests build it
    /// once.
    ///
    /// # Errors
    /// Returns the error of `make`.
    pub async fn get(
        &self,
        name: &str,
        make: impl AsyncFnOnce() -> Result<Kept, Problem>,
    ) -> Result<Arc<Kept>, Problem> {
        let mut shelf = self.0.lock().await;
        if let Some(kept) = shelf.get(name) {
            return Ok(kept.clone());
        }
        let kept = Arc::new(make().await?);
        if shelf.len() >= MAX_KEPT {
            shelf.clear();
        }
        shelf.insert(name.to_owned(), kept.clone());
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_document_is_built_once_and_sent_in_an_accepted_coding() {
        let shelf = Shelf::default();
        let text = "the same again and again; ".repeat(200);
        let mut made = 0;
        for _ in 0..3 {
            let make = async || {
                made += 1;
                Kept::new(HeaderValue::from_static("text/plain"), text.clone().into()).await
            };
            let kept = shelf.get("a", make).await.unwrap();
            for (accepted, expected) in [("", None), ("gzip", Some("gzip")), ("gzip, zstd", Some("zstd"))] {
                let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
                let response = kept.answer(&Condition::default(), &headers).unwrap();
                let coding = response.headers().get(header::CONTENT_ENCODING);
                assert_eq!(coding.map(|coding| coding.to_str().unwrap()), expected);
                let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
                assert_eq!(bytes.len() == text.len(), expected.is_none(), "{accepted}");
            }
        }
        assert_eq!(made, 1);
    }

    #[tokio::test]
    async fn a_cache_is_bounded() {
        let shelf = Shelf::default();
        for name in 0..3 * MAX_KEPT {
            let make = async || Kept::new(HeaderValue::from_static("text/plain"), "a".into()).await;
            shelf.get(&name.to_string(), make).await.unwrap();
        }
        assert!(shelf.0.lock().await.len() <= MAX_KEPT);
    }
}
