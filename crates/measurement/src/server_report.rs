use serde::{Deserialize, Serialize};

/// What a server said of itself over one cycle. Its own figures: joulemark reads them, and checks none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerReport {
    /// From its page `/metrics`; null where it has none, as llama.cpp without `--metrics`.
    pub usage: Option<ServerUsage>,
    /// From its answers; null where they hold no `timings`, which llama.cpp sends.
    pub timings: Option<ServerTimings>,
}

/// How a server was used over one cycle, summed over its engines. Null where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerUsage {
    /// Times that the page was read within the cycle, twice a second: means and maxima are over these.
    pub samples: u32,
    /// Requests that were computed.
    pub mean_running: Option<f64>,
    /// The most of them in one reading.
    pub max_running: Option<f64>,
    /// Requests that waited for room.
    pub mean_waiting: Option<f64>,
    /// The most of them in one reading.
    pub max_waiting: Option<f64>,
    /// Share of the KV cache that was in use, from 0 to 1; the mean over engines.
    pub mean_kv_cache_usage: Option<f64>,
    /// The largest share in one reading.
    pub max_kv_cache_usage: Option<f64>,
    /// Requests that were put back for want of room, and computed anew.
    pub preemptions: Option<f64>,
    /// Tokens of prompts that the prefix cache held.
    pub prefix_cache_hits: Option<f64>,
    /// Tokens of prompts that were looked up in it.
    pub prefix_cache_queries: Option<f64>,
}

/// A server's own account of a cycle's answers, summed over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerTimings {
    /// Answers that held timings.
    pub answers: u32,
    /// Tokens of prompts that its cache held.
    pub cached_tokens: u64,
    /// Tokens of prompts that it computed, without the cached ones.
    pub prompt_tokens: u64,
    /// Time that it took to compute them, in milliseconds; of answers side by side the sum.
    pub prompt_ms: f64,
    /// Tokens that it generated.
    pub predicted_tokens: u64,
    /// Time that it took to generate them, in milliseconds, as `prompt_ms`.
    pub predicted_ms: f64,
    /// Tokens that a draft model proposed.
    pub draft_tokens: u64,
    /// Of them, those that were kept.
    pub accepted_draft_tokens: u64,
}
