//! Conditional requests (RFC 9110, 13): an answer is named by a tag, and who has it already gets 304 in its place. Tags
//! are made of what changes with the answer, never of the answer itself, which may be megabytes.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

const TAG_BYTES: usize = 16;

/// Whether what has the same tag is the same to the byte, or only as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Strong,
    Weak,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag {
    strength: Strength,
    opaque: String,
}

impl EntityTag {
    /// Of all that the answer depends on. The release is among it: another one may write the same otherwise.
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

    fn header(&self) -> Option<HeaderValue> {
        let weak = if self.strength == Strength::Weak { "W/" } else { "" };
        HeaderValue::try_from(format!("{weak}\"{}\"", self.opaque)).ok()
    }
}

/// The request's `If-None-Match`; what is no list of tags matches nothing.
#[derive(Clone, Debug, Default)]
pub struct Condition(Vec<String>);

impl<S: Sync> FromRequestParts<S> for Condition {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        // A tag of ours has no comma in it.
        let tags = texts.flat_map(|text| text.split(',')).map(|tag| tag.trim().to_owned());
        Ok(Self(tags.collect()))
    }
}

impl Condition {
    /// Compared weakly, as If-None-Match is: a compressed answer's tag is the same with W/ in front.
    pub fn is_met_by(&self, tag: &EntityTag) -> bool {
        let quoted = format!("\"{}\"", tag.opaque);
        let mut given = self.0.iter();
        given.any(|given| given == "*" || given.trim_start_matches("W/") == quoted)
    }
}

/// The answer under its tag, or 304 where the client has it. Kept by the client alone, and asked after each time.
///
/// # Errors
/// Those of making the whole answer.
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

pub fn not_modified(tag: &EntityTag) -> Response {
    tagged(StatusCode::NOT_MODIFIED.into_response(), tag)
}

fn tagged(mut response: Response, tag: &EntityTag) -> Response {
    let headers = response.headers_mut();
    headers.extend(tag.header().map(|tag| (header::ETAG, tag)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let varies = HeaderValue::from_static("authorization, cookie, accept, accept-encoding");
    headers.insert(header::VARY, varies);
    response
}

/// A compressed answer is not the same to the byte as the plain one that the tag was made for.
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
    fn parts_are_told_apart_also_where_they_are_the_same_in_a_row() {
        let tags = [&["ab", "c"][..], &["a", "bc"], &["abc"], &["ab", "c", ""]];
        let tags = tags.map(|parts| EntityTag::new(Strength::Weak, parts).opaque);
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag));
        }
    }

    #[tokio::test]
    async fn who_has_it_gets_no_body_and_the_same_headers() {
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
