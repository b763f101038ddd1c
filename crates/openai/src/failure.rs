use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a request has no answer that can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// No connection could be made.
    NotConnected,
    /// The server has too much to do (429).
    TooManyRequests,
    /// The server is not ready, or overloaded (503).
    Unavailable,
    /// Another status that is no success.
    Status,
    /// The server reported an error within its answer.
    ErrorEvent,
    /// The connection ended before the answer did.
    EndedEarly,
    /// The answer was not complete within the time that a request has.
    TimedOut,
    /// The answer is not what the API describes.
    Unreadable,
}

impl FailureReason {
    /// Returns the reason in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotConnected => "no connection could be made",
            Self::TooManyRequests => "the server answered 429, too many requests",
            Self::Unavailable => "the server answered 503, not available",
            Self::Status => "the server refused the request",
            Self::ErrorEvent => "the server reported an error within its answer",
            Self::EndedEarly => "the connection ended before the answer did",
            Self::TimedOut => "no answer within request_timeout_sec",
            Self::Unreadable => "the answer is not what the API describes",
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{}", reason.in_words(), detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct Failure {
    pub reason: FailureReason,
    /// What the server or the operating system says. It may hold the prompt: it is for the owner's eyes.
    pub detail: Option<String>,
}

impl Failure {
    pub(crate) fn new(reason: FailureReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: Some(detail.into()),
        }
    }

    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(FailureReason::Unreadable, detail)
    }
}
