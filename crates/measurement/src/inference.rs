use serde::{Deserialize, Serialize};

use super::{ComputeMetrics, EnergyMetrics};

/// A span of CLOCK_MONOTONIC, in seconds since the host's boot. The clock is one for all processes of the host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    /// CLOCK_MONOTONIC, seconds since the host's boot.
    pub start_monotonic_sec: f64,
    /// CLOCK_MONOTONIC, seconds since the host's boot.
    pub end_monotonic_sec: f64,
}

impl Window {
    pub fn duration_sec(&self) -> f64 {
        self.end_monotonic_sec - self.start_monotonic_sec
    }
}

/// One request: one prompt through the model, with the time of every output token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestMeasurement {
    /// Position of the prompt in the experiment's prompt list, from 0.
    pub prompt_index: u32,
    /// Prompt tokens after the chat template and truncation.
    pub input_tokens: u32,
    /// Generated tokens; an end-of-sequence token counts.
    pub output_tokens: u32,
    /// When the request was handed to the engine, CLOCK_MONOTONIC seconds.
    pub sent_monotonic_sec: f64,
    /// When the engine's answer was complete, CLOCK_MONOTONIC seconds.
    pub completed_monotonic_sec: f64,
    /// Time to first token (TTFT), in milliseconds: from handing over to the first token chosen by the sampler.
    pub ttft_ms: Option<f64>,
    /// When each output token was chosen, CLOCK_MONOTONIC seconds; inter-token latencies (ITL) are its differences.
    pub token_monotonic_sec: Vec<f64>,
    /// The tokens themselves, as ids of the model's vocabulary.
    pub output_token_ids: Vec<u32>,
    /// `length` (the maximum was reached) or `stop` (the model ended the sequence).
    pub finish_reason: String,
}

/// Tokens and time of one rank in one cycle, of one cycle, or of the whole experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InferenceMetrics {
    // What each metric is stands in the table of metrics (`crates/analysis/src/metrics`).
    pub total_tokens: Option<u64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub inference_time_sec: Option<f64>,
    pub output_throughput: Option<f64>,
    pub tokens_per_second: Option<f64>,
    pub latency_per_token_ms: Option<f64>,
    pub mean_ttft_ms: Option<f64>,
    pub mean_tpot_ms: Option<f64>,
    pub median_itl_ms: Option<f64>,
    pub p99_itl_ms: Option<f64>,
}

/// The raw result of one rank in one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RankCycle {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// From 0; warm-up is not a cycle.
    pub cycle: u32,
    /// UUIDs of the rank's own GPUs.
    pub gpus: Vec<String>,
    pub window: Window,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub requests: Vec<RequestMeasurement>,
}
