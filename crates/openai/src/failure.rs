use thiserror::Error;

pub use joulemark_measurement::RequestFailure as FailureReason;

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
