use serde_json::Value;

/// What was asked on one connection.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Requests before it, of any path.
    pub number: usize,
    /// As `/v1/chat/completions`.
    pub path: String,
    /// Request line and headers, names in lower case.
    pub head: String,
    /// `Null` where it has none, or none in JSON.
    pub body: Value,
    /// Answers whose last token was still to be written when it came, this one not counted.
    pub in_flight: usize,
}

impl Asked {
    /// Tells whether tokens are asked for.
    pub fn is_for_tokens(&self) -> bool {
        self.path.ends_with("/completions")
    }
}
