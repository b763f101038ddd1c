use serde::{Deserialize, Serialize};

/// A server's own figures over one cycle. joulemark reads them and does not check them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerReport {
    /// Read from its page `/metrics`; null where there is no such page, as for llama.cpp without `--metrics`.
    pub usage: Option<ServerUsage>,
    /// Read from `timings` in its answers, which llama.cpp sends; null where no answer holds any.
    pub timings: Option<ServerTimings>,
}

/// Use of a server over one cycle, summed over its engines. A figure that the server does not report is null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerUsage {
    /// Number of times that the page was read within the cycle, twice a second. Means and maxima are over these.
    pub samples: u32,
    /// Mean number of requests that were being computed.
    pub mean_running: Option<f64>,
    /// Maximum number of requests that were being computed.
    pub max_running: Option<f64>,
    /// Mean number of requests that waited in the server's queue.
    pub mean_waiting: Option<f64>,
    /// Maximum number of requests that waited.
    pub max_waiting: Option<f64>,
    /// Mean share of the KV cache in use, from 0 to 1; the mean over engines.
    pub mean_kv_cache_usage: Option<f64>,
    /// Maximum share of the KV cache in use, from 0 to 1.
    pub max_kv_cache_usage: Option<f64>,
    /// Number of times that a request was preempted because the KV cache was full, and computed again.
    pub preemptions: Option<f64>,
    /// Prompt tokens found in the prefix cache.
    pub prefix_cache_hits: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_cache_queries: Option<f64>,
}

/// A server's own timings, summed over the answers of a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerTimings {
    /// Number of answers that held timings.
    pub answers: u32,
    /// Prompt tokens found in the server's cache.
    pub cached_tokens: u64,
    /// Prompt tokens that were computed, without the cached ones.
    pub prompt_tokens: u64,
    /// Time to compute the prompt tokens, in milliseconds, summed over answers even where they were computed at the
    /// same time.
    pub prompt_ms: f64,
    /// Generated tokens.
    pub predicted_tokens: u64,
    /// Time to generate the tokens, in milliseconds, summed like `prompt_ms`.
    pub predicted_ms: f64,
    /// Tokens proposed by a draft model.
    pub draft_tokens: u64,
    /// Draft tokens that were accepted.
    pub accepted_draft_tokens: u64,
}
