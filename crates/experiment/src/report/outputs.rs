use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A digest of all answers. It is the same for the same answers, whatever their timing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputsDigest {
    pub of: OutputsKind,
    /// SHA-256, in hex, of the entries of `cycles`, each followed by a line feed.
    pub sha256: String,
    /// For each measured cycle the SHA-256, in hex, of one line for each request: `RANK PROMPT_INDEX ANSWER` and a line
    /// feed, ordered by rank and index. ANSWER is the token ids, separated by commas, or the SHA-256 of the answer's
    /// text.
    pub cycles: Vec<String>,
}

/// The content that a digest of answers is computed from.
///
/// - `token_ids`: the ids of the tokens
/// - `text`: the SHA-256 of each answer's text, for an engine that does not report token ids
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputsKind {
    TokenIds,
    Text,
}
