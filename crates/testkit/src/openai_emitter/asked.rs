use serde_json::Value;

/// A request as the emitter received it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Number of earlier requests, of any path.
    pub number: usize,
    /// Path, such as `/v1/chat/completions`.
    pub path: String,
    /// Request line and headers, with names in lower case.
    pub head: String,
    /// Body; JSON null where there is none, or where it is not JSON.
    pub body: Value,
    /// Number of other answers with unwritten tokens when the request arrived.
    pub in_flight: usize,
}

impl Asked {
    /// Returns whether the request asks for tokens.
    pub fn is_for_tokens(&self) -> bool {
        self.path.ends_with("/completions")
    }
}
