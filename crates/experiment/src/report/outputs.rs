use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A digest of all answers: equal for equal answers, whatever their times were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputsDigest {
    pub of: OutputsKind,
    /// SHA-256, hex, of `cycles`, each followed by a line feed.
    pub sha256: String,
    /// Of each measured cycle the SHA-256, hex, of a line a request: `RANK PROMPT_INDEX ANSWER` and a line feed, in this order.
    /// ANSWER is the numbers of the tokens with commas between them, or the SHA-256 of the answer's text.
    pub cycles: Vec<String>,
}

/// What a digest of answers is made from.
///
/// - `token_ids`: the numbers of the tokens
/// - `text`: the SHA-256 of each answer's text, of an engine that tells no numbers
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputsKind {
    TokenIds,
    Text,
}
