use serde::Deserialize;

/// A problem document (RFC 9457) as a client reads it: all of it may be missing, for it may be a proxy's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub errors: Vec<BadField>,
    /// The experiment's state, where that is what stands in the way.
    pub state: Option<String>,
    pub retry_after_sec: Option<u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct BadField {
    /// JSON pointer to the field, or the parameter's name; empty for the whole document.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    /// What kind it is, without the part that all of them have.
    pub fn short_kind(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}
