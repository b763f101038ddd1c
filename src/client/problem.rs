//! Problem documents of a server.

use serde::Deserialize;

/// Problem document (RFC 9457). Every field may be missing, since a proxy may have sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub errors: Vec<BadField>,
    /// State of the experiment, if it is the reason for the problem.
    pub state: Option<String>,
    pub retry_after_sec: Option<u64>,
}

/// An invalid field or parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BadField {
    /// JSON pointer to the field, or the parameter's name; empty for the whole document.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    /// Returns the last part of the problem type, which names the kind of problem.
    pub fn short_kind(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}
