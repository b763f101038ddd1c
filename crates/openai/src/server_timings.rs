use serde::{Deserialize, Deserializer, Serialize};

/// A server's own timings of one answer, from llama.cpp's `timings`. A field is `None` where the server does not report
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerTimings {
    /// Number of prompt tokens that were in the cache.
    #[serde(default, alias = "cache_n", deserialize_with = "count")]
    pub cached_tokens: Option<u32>,
    /// Number of prompt tokens that were computed, without the cached ones.
    #[serde(default, alias = "prompt_n", deserialize_with = "count")]
    pub prompt_tokens: Option<u32>,
    /// Time that computing the prompt tokens took, in milliseconds.
    #[serde(default)]
    pub prompt_ms: Option<f64>,
    /// Number of generated tokens.
    #[serde(default, alias = "predicted_n", deserialize_with = "count")]
    pub predicted_tokens: Option<u32>,
    /// Time that generating the tokens took, in milliseconds.
    #[serde(default)]
    pub predicted_ms: Option<f64>,
    /// Number of tokens that a draft model proposed; `None` without one.
    #[serde(default, alias = "draft_n", deserialize_with = "count")]
    pub draft_tokens: Option<u32>,
    /// Number of proposed tokens that were accepted.
    #[serde(default, alias = "draft_n_accepted", deserialize_with = "count")]
    pub accepted_draft_tokens: Option<u32>,
}

/// Deserializes a count; llama.cpp writes -1 for one that is not known yet.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let count = Option::<i64>::deserialize(deserializer)?;
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}
