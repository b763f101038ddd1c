use std::error::Error as _;
use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use super::Problem;

/// Why a server did not give what it was asked for, by what to do about it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens, or the name or certificate is wrong: look at the address.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable { server: String, reason: String },
    /// It was there, and then the connection was not: ask again.
    #[error("the connection to {server} broke off: {reason}")]
    Broken { server: String, reason: String },
    /// The server cannot answer now: ask again later.
    #[error("{}", .0.detail)]
    Unavailable(Box<Problem>),
    /// The server will not: change what is asked.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Something else answers at this address.
    #[error("what answers at {server} is no joulemark server: {what}")]
    Foreign { server: String, what: String },
    /// What was set up cannot be used, before anything was sent.
    #[error("{0}")]
    Setup(String),
}

impl ClientError {
    /// Of a request that had no answer.
    pub(super) fn without_answer(server: &str, error: &reqwest::Error) -> Self {
        let server = server.to_owned();
        let reason = if error.is_timeout() {
            "nothing came in time".to_owned()
        } else {
            causes(error)
        };
        if error.is_connect() {
            Self::Unreachable { server, reason }
        } else {
            Self::Broken { server, reason }
        }
    }

    /// Whether the same may be asked again with hope, and after how long at the earliest.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Broken { .. } | Self::Unavailable(_)
        )
    }

    /// Whether what was asked may have been done all the same.
    pub fn leaves_it_open(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            // A proxy that lost its server's answer.
            Self::Unavailable(problem) => [502, 504].contains(&problem.status),
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable(problem) => problem.retry_after_sec.map(Duration::from_secs),
            _ => None,
        }
    }

    pub(super) fn is_unknown_route(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.short_kind() == "no-such-route"
            || problem.status == StatusCode::METHOD_NOT_ALLOWED.as_u16())
    }
}

/// What a TLS library's names for a bad certificate mean.
const CERTIFICATES: [(&str, &str); 5] = [
    (
        "CaUsedAsEndEntity",
        "it is an authority's own (CA:TRUE), which no server may show; make one with CA:FALSE, such as by `openssl req \
         -x509 -addext basicConstraints=critical,CA:FALSE`",
    ),
    ("UnknownIssuer", "it is signed by nobody who is trusted here"),
    ("NotValidForName", "it is another name's"),
    ("NotValidYet", "it is not valid yet"),
    ("BadSignature", "its signature is wrong"),
];

/// Returns a library's sentence without the names that it has for things.
fn in_words(text: &str) -> String {
    let known = CERTIFICATES.iter().find(|(name, _)| text.contains(name));
    match known {
        Some((_, meaning)) if text.contains("certificate") => format!("the server's certificate is refused: {meaning}"),
        _ => text.to_owned(),
    }
}

/// What lies beneath the sentence that all of reqwest's errors begin with.
fn causes(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = in_words(&error.to_string());
        // Each layer likes to repeat the one beneath.
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
    fn a_bad_certificate_is_told_in_words() {
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
