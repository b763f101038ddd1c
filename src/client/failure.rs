//! Errors of the client, classified by what the caller can do about them.

use std::error::Error as _;
use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use super::Problem;

/// Error of a request, by what to do about it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection: nothing listens, or the name or certificate is wrong. Check the address.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable { server: String, reason: String },
    /// The connection was lost. Ask again.
    #[error("the connection to {server} broke off: {reason}")]
    Broken { server: String, reason: String },
    /// The server cannot answer now. Ask again later.
    #[error("{}", .0.detail)]
    Unavailable(Box<Problem>),
    /// The server rejected the request. Change it.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// A program that is not a joulemark server answered.
    #[error("{server} is not a joulemark server: {what}")]
    Foreign { server: String, what: String },
    /// The client was set up wrongly; nothing was sent.
    #[error("{0}")]
    Setup(String),
}

impl ClientError {
    /// Creates the error of a request that got no response.
    pub(super) fn without_answer(server: &str, error: &reqwest::Error) -> Self {
        let server = server.to_owned();
        let reason = if error.is_timeout() {
            "timed out".to_owned()
        } else {
            causes(error)
        };
        if error.is_connect() {
            Self::Unreachable { server, reason }
        } else {
            Self::Broken { server, reason }
        }
    }

    /// Returns whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Unavailable(_)
        )
    }

    /// Returns whether the server may have carried out the request.
    pub fn may_have_succeeded(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            // A gateway that lost the server's response.
            Self::Unavailable(problem) => [502, 504].contains(&problem.status),
            _ => false,
        }
    }

    /// Returns the minimum pause before a retry, if the server gave one.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(problem) => problem.retry_after_sec.map(Duration::from_secs),
            _ => None,
        }
    }

    /// Returns whether the server lacks the operation, e.g. because it is older.
    pub(super) fn is_unknown_route(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.short_kind() == "no-such-route"
            || problem.status == StatusCode::METHOD_NOT_ALLOWED.as_u16())
    }
}

/// Names of certificate errors in the TLS library, with their meaning.
const CERTIFICATES: [(&str, &str); 5] = [
    (
        "CaUsedAsEndEntity",
        "it is the certificate of an authority (CA:TRUE), which a server must not use; create one with CA:FALSE, e.g. by `openssl req \
         -x509 -addext basicConstraints=critical,CA:FALSE`",
    ),
    ("UnknownIssuer", "no authority that is trusted here signed it"),
    ("NotValidForName", "it is for another name"),
    ("NotValidYet", "it is not valid yet"),
    ("BadSignature", "its signature is invalid"),
];

/// Replaces a library's message about a certificate by its meaning.
fn in_words(text: &str) -> String {
    let known = CERTIFICATES.iter().find(|(name, _)| text.contains(name));
    match known {
        Some((_, meaning)) if text.contains("certificate") => {
            format!("the server's certificate is not accepted: {meaning}")
        }
        _ => text.to_owned(),
    }
}

/// Returns the causes of the error, without reqwest's own first sentence.
fn causes(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = in_words(&error.to_string());
        // A layer may repeat the message of its cause.
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    if parts.is_empty() {
        error.to_string()
    } else {
        parts.join(": ")
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_certificate_error_is_explained() {
        for (text, expected) in [
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "(CA:TRUE)",
            ),
            ("invalid peer certificate: UnknownIssuer", "trusted here"),
        ] {
            let words = in_words(text);
            assert!(words.contains(expected) && words.contains("certificate"), "{words}");
            assert!(!words.contains("OtherError") && !words.contains("Issuer"), "{words}");
        }
        assert_eq!(
            in_words("Connection refused (os error 111)"),
            "Connection refused (os error 111)"
        );
    }
}
