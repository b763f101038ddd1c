//! Ids of requests.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::access::{Access, Peer};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 128;

/// Id of a request in the log, in its answer, and with the experiment that it submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Takes the id of a trusted proxy, so that its log can be matched with this one. Any other client gets a new id,
    /// since it could otherwise reuse that of another request.
    pub fn choose(headers: &HeaderMap, peer: Option<&Peer>, access: &Access) -> Self {
        let is_trusted = peer.is_some_and(|peer| access.trusted_proxies.has(*peer));
        let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.filter(|id| is_trusted && is_good(id)) {
            Some(id) => Self(id.into()),
            None => Self(uuid::Uuid::now_v7().to_string().into()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn to_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_good(id: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(&byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_safe_in_a_log_line() {
        for good in [
            "a",
            "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11",
            "Root=1-67891233-abc:def/+_.",
        ] {
            assert!(is_good(good), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\u{1b}[31m", "a%0d%0a", "é", &"a".repeat(129)] {
            assert!(!is_good(bad), "{bad}");
        }
    }
}
