use thiserror::Error;

pub use joulemark_measurement::RequestFailure as FailureReason;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{}", reason.in_words(), detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct Failure {
    pub reason: FailureReason,
    /// Details from the server or the operating system. They may contain the prompt, so that only its owner may see
    /// them.
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
