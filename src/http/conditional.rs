//! Conditional requests (RFC 9110, 13). An answer has an entity tag, and a client that has it already gets a 304. Tags
//! are computed from what determines an answer, not from its bytes, which may be megabytes.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

const TAG_BYTES: usize = 16;

/// Strength of a tag: whether equal tags mean equal bytes or only an equivalent answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Strong,
    Weak,
}

/// An entity tag (RFC 9110, 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag {
    strength: Strength,
    opaque: String,
}

impl EntityTag {
    /// Returns the tag of everything that the answer depends on. It includes the program's version, since another
    /// release may format an answer differently.
    pub fn new(strength: Strength, parts: &[&str]) -> Self {
        let mut digest = Sha256::new_with_prefix(env!("CARGO_PKG_VERSION"));
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        let digest = digest.finalize();
        let opaque = hex::encode(&digest[..TAG_BYTES]);
        Self { strength, opaque }
    }

    /// Returns the value of the `ETag` header.
    fn header(&self) -> Option<HeaderValue> {
        let weak = if self.strength == Strength::Weak { "W/" } else { "" };
        HeaderValue::try_from(format!("{weak}\"{}\"", self.opaque)).ok()
    }
}

/// The tags of a request's `If-None-Match`; a malformed value matches nothing.
#[derive(Clone, Debug, Default)]
pub struct Condition(Vec<String>);

impl<S: Sync> FromRequestParts<S> for Condition {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        // Tags of this service contain no comma.
        let tags = texts.flat_map(|text| text.split(',')).map(|tag| tag.trim().to_owned());
        Ok(Self(tags.collect()))
    }
}

impl Condition {
    /// Returns whether the client has the answer with this tag. Tags are compared weakly, as RFC 9110 requires for
    /// `If-None-Match`: the tag of a compressed answer has `W/` in front.
    pub fn is_met_by(&self, tag: &EntityTag) -> bool {
        let quoted = format!("\"{}\"", tag.opaque);
        let mut given = self.0.iter();
        given.any(|given| given == "*" || given.trim_start_matches("W/") == quoted)
    }
}

/// Returns the answer with its tag, or a 304 if the client has it. Only the client may cache it, and must revalidate it
/// each time.
///
/// # Errors
/// Returns the error of `whole`.
pub fn answer(
    tag: &EntityTag,
    condition: &Condition,
    whole: impl FnOnce() -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    match condition.is_met_by(tag) {
        true => Ok(not_modified(tag)),
        false => Ok(tagged(whole()?, tag)),
    }
}

/// Returns a 304 with this tag.
pub fn not_modified(tag: &EntityTag) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), tag)
}

/// Adds the headers of conditional requests to a response.
fn tagged(mut response: Response, tag: &EntityTag) -> Response {
    let headers = response.headers_mut();
    headers.extend(tag.header().map(|tag| (header::ETAG, tag)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let varies = HeaderValue::from_static("authorization, cookie, accept, accept-encoding");
    headers.insert(header::VARY, varies);
    response
}

/// Makes the tag of a compressed response weak, since its bytes differ from those of the uncompressed answer.
pub fn weaken_compressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !tag.starts_with("W/")
        && let Ok(weak) = HeaderValue::try_from(format!("W/{tag}"))
    {
        headers.insert(header::ETAG, weak);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn condition(values: &[&str]) -> Condition {
        let mut request = Request::builder();
        for value in values {
            request = request.header(header::IF_NONE_MATCH, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(condition) = Condition::from_request_parts(&mut parts, &()).await;
        condition
    }

    #[tokio::test]
    async fn a_tag_is_found_in_any_list_strong_or_weak() {
        let tag = EntityTag::new(Strength::Strong, &["a", "b"]);
        let own = tag.header().unwrap().to_str().unwrap().to_owned();
        let weak = format!("W/{own}");
        for values in [
            &[own.as_str()][..],
            &[&weak],
            &["\"x\"", &own],
            &["*"],
            &[&format!("\"x\", {own}")],
        ] {
            assert!(condition(values).await.is_met_by(&tag), "{values:?}");
        }
        for values in [&[][..], &["\"x\""], &["**"], &[own.trim_matches('"')], &[""]] {
            assert!(!condition(values).await.is_met_by(&tag), "{values:?}");
        }
    }

    #[test]
    fn the_boundaries_of_parts_change_the_tag() {
        let tags = [&["ab", "c"][..], &["a", "bc"], &["abc"], &["ab", "c", ""]];
        let tags = tags.map(|parts| EntityTag::new(Strength::Weak, parts).opaque);
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag));
        }
    }

    #[tokio::test]
    async fn a_client_that_has_the_answer_gets_no_body_and_the_same_headers() {
        let tag = EntityTag::new(Strength::Weak, &["a"]);
        let whole = || Ok("body".into_response());
        let first = answer(&tag, &condition(&[]).await, whole).unwrap();
        let own = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert!(own.starts_with("W/\""));
        let again = answer(&tag, &condition(&[&own]).await, || unreachable!("it is not made")).unwrap();
        assert_eq!(
            (first.status(), again.status()),
            (StatusCode::OK, StatusCode::NOT_MODIFIED)
        );
        for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
            assert_eq!(first.headers()[&name], again.headers()[&name]);
        }
    }
}
