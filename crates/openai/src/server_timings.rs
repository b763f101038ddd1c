use serde::{Deserialize, Deserializer, Serialize};

/// A server's own account of one answer, as llama.cpp's `timings` give it. `None` where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerTimings {
    /// Tokens of the prompt that its cache held.
    #[serde(default, alias = "cache_n", deserialize_with = "count")]
    pub cached_tokens: Option<u32>,
    /// Tokens of the prompt that it computed, without the cached ones.
    #[serde(default, alias = "prompt_n", deserialize_with = "count")]
    pub prompt_tokens: Option<u32>,
    /// Time that it took to compute them.
    #[serde(default)]
    pub prompt_ms: Option<f64>,
    /// Tokens that it generated.
    #[serde(default, alias = "predicted_n", deserialize_with = "count")]
    pub predicted_tokens: Option<u32>,
    /// Time that it took to generate them.
    #[serde(default)]
    pub predicted_ms: Option<f64>,
    /// Tokens that a draft model proposed; absent without one.
    #[serde(default, alias = "draft_n", deserialize_with = "count")]
    pub draft_tokens: Option<u32>,
    /// Of them, those that were kept.
    #[serde(default, alias = "draft_n_accepted", deserialize_with = "count")]
    pub accepted_draft_tokens: Option<u32>,
}

/// Reads a count, of which llama.cpp gives -1 where it has none yet.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let count = Option::<i64>::deserialize(deserializer)?;
    Ok(count.and_then(|count| u32::try_from(count).ok()))
}
