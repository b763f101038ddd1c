use serde::{Deserialize, Serialize};

use super::clock::Monotonic;
use super::units::MILLISECONDS_PER_SECOND;
use super::{ComputeMetrics, EnergyMetrics, ServerReport};

/// Time span on CLOCK_MONOTONIC, in seconds since the host's boot. The clock is the same for all processes of the host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Window {
    /// Start of the window, CLOCK_MONOTONIC seconds since the host's boot.
    pub start_monotonic_sec: f64,
    /// End of the window, CLOCK_MONOTONIC seconds since the host's boot.
    pub end_monotonic_sec: f64,
}

impl Window {
    /// Returns the length of the window in seconds.
    pub fn duration_sec(&self) -> f64 {
        self.end_monotonic_sec - self.start_monotonic_sec
    }
}

/// A chunk of an answer as a server sent it. A chunk may hold several tokens, or part of a character.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerChunk {
    /// Time at which its bytes were read from the socket, CLOCK_MONOTONIC seconds.
    pub monotonic_sec: f64,
    /// Number of tokens in it; null where the server counts tokens only at the end.
    pub tokens: Option<u32>,
}

/// One request: one prompt through the model, with the time of every output token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RequestMeasurement {
    /// Position of the prompt in the experiment's prompt list, from 0.
    pub prompt_index: u32,
    /// Number of prompt tokens after the chat template and truncation.
    pub input_tokens: u32,
    /// Number of generated tokens, including an end-of-sequence token.
    pub output_tokens: u32,
    /// Time at which the request was handed to the engine, CLOCK_MONOTONIC seconds.
    pub sent_monotonic_sec: f64,
    /// Time at which the engine's answer was complete, CLOCK_MONOTONIC seconds.
    pub completed_monotonic_sec: f64,
    /// Time to first token (TTFT) in milliseconds: until the sampler chose the first token. It begins when the request
    /// was due where the experiment has a `load`, else when it was handed to the engine.
    pub ttft_ms: Option<f64>,
    /// Time at which each output token was chosen, CLOCK_MONOTONIC seconds. Inter-token latencies (ITL) are the
    /// differences. Empty for a server, which sends `chunks`.
    pub token_monotonic_sec: Vec<f64>,
    /// Output tokens as ids of the model's vocabulary. Empty for a server, which sends text.
    pub output_token_ids: Vec<u32>,
    /// `length` (the maximum was reached) or `stop` (the model ended the sequence). For a server also `tool_calls`,
    /// `content_filter`, or `unknown` where it gives none of these.
    pub finish_reason: String,
    /// Chunks of a server's answer; empty for other engines.
    #[serde(default)]
    pub chunks: Vec<AnswerChunk>,
    /// SHA-256 of a server's answer, reasoning included, in hexadecimal; null for other engines.
    #[serde(default)]
    pub output_text_sha256: Option<String>,
    /// Time until the first token of a server's answer that is not reasoning, in milliseconds, with the same beginning
    /// as `ttft_ms`.
    #[serde(default)]
    pub time_to_first_answer_ms: Option<f64>,
    /// Number of prompt tokens that a server's cache held, by its own count; null where it reports none.
    #[serde(default)]
    pub cached_tokens: Option<u32>,
    /// Time at which the request was due by the experiment's `load`, CLOCK_MONOTONIC seconds; null without a `load`.
    /// From then until `sent_monotonic_sec` it waited in the worker.
    #[serde(default)]
    pub due_monotonic_sec: Option<f64>,
    /// Time in milliseconds by which the sender was late. It is an error of the measurement and not part of the
    /// engine's queueing.
    #[serde(default)]
    pub sender_lag_ms: Option<f64>,
}

impl RequestMeasurement {
    /// Returns the request with latencies that begin when it was due, so that the time it waited is included (no
    /// coordinated omission). The sender was `lag_sec` late.
    pub fn since(self, due: Monotonic, lag_sec: f64) -> Self {
        let waited_ms = (self.sent_monotonic_sec - due.as_sec()) * MILLISECONDS_PER_SECOND;
        let since_due = |since_sent: Option<f64>| since_sent.map(|ms| ms + waited_ms);
        Self {
            ttft_ms: since_due(self.ttft_ms),
            time_to_first_answer_ms: since_due(self.time_to_first_answer_ms),
            due_monotonic_sec: Some(due.as_sec()),
            sender_lag_ms: Some(lag_sec * MILLISECONDS_PER_SECOND),
            ..self
        }
    }

    /// Returns the time it waited in the worker for the engine, in milliseconds, without the sender's lag; `None`
    /// without a `load`.
    pub fn queueing_ms(&self) -> Option<f64> {
        let waited_sec = self.sent_monotonic_sec - self.due_monotonic_sec?;
        Some((waited_sec * MILLISECONDS_PER_SECOND - self.sender_lag_ms.unwrap_or(0.0)).max(0.0))
    }

    /// Returns the time the engine took, in milliseconds: from the handover to the complete answer.
    pub fn service_ms(&self) -> f64 {
        (self.completed_monotonic_sec - self.sent_monotonic_sec) * MILLISECONDS_PER_SECOND
    }

    /// Returns the times of its output, CLOCK_MONOTONIC seconds: those of tokens, or of chunks for a server.
    pub fn output_monotonic_sec(&self) -> impl ExactSizeIterator<Item = f64> + DoubleEndedIterator + '_ {
        let count = self.token_monotonic_sec.len().max(self.chunks.len());
        (0..count).map(|at| match self.token_monotonic_sec.get(at) {
            Some(at) => *at,
            None => self.chunks[at].monotonic_sec,
        })
    }

    /// Returns the end-to-end latency in milliseconds: from when the request was due where the experiment has a `load`,
    /// else from the handover, to the complete answer.
    pub fn e2e_ms(&self) -> f64 {
        let begun = self.due_monotonic_sec.unwrap_or(self.sent_monotonic_sec);
        (self.completed_monotonic_sec - begun) * MILLISECONDS_PER_SECOND
    }

    /// Returns the mean time per output token after the first (TPOT), in milliseconds: (last − first) / (tokens − 1).
    /// `None` below two tokens, or where fewer than two times are known.
    pub fn tpot_ms(&self) -> Option<f64> {
        let (first, last) = (
            self.output_monotonic_sec().next()?,
            self.output_monotonic_sec().next_back()?,
        );
        let gaps = match self.token_monotonic_sec.len() {
            0 => self.output_tokens.checked_sub(1)? as usize,
            tokens => tokens - 1,
        };
        let has_two = self.output_monotonic_sec().len() > 1 && gaps > 0;
        has_two.then(|| (last - first) * MILLISECONDS_PER_SECOND / gaps as f64)
    }
}

/// A request without a usable answer. Its energy is included in that of its cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedRequest {
    /// Position of the prompt in the experiment's prompt list, from 0.
    pub prompt_index: u32,
    pub reason: RequestFailure,
    /// Time at which the request was due by the experiment's `load`, CLOCK_MONOTONIC seconds; null without a `load`.
    #[serde(default)]
    pub due_monotonic_sec: Option<f64>,
    /// Time at which it was sent, CLOCK_MONOTONIC seconds; null in older results.
    #[serde(default)]
    pub sent_monotonic_sec: Option<f64>,
    /// Time at which it failed, CLOCK_MONOTONIC seconds; null in older results.
    #[serde(default)]
    pub ended_monotonic_sec: Option<f64>,
}

/// Reason why a request to a server has no usable answer.
///
/// - `not_connected`: no connection could be made
/// - `too_many_requests`: the server rejected the request because of too many requests (429)
/// - `unavailable`: the server was not ready, or overloaded (503)
/// - `status`: the server answered with another error status
/// - `error_event`: the server reported an error within its answer
/// - `ended_early`: the connection ended before the answer did
/// - `timed_out`: the answer was not complete within `request_timeout_sec`
/// - `unreadable`: the answer is not what the API describes
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestFailure {
    NotConnected,
    TooManyRequests,
    Unavailable,
    Status,
    ErrorEvent,
    EndedEarly,
    TimedOut,
    Unreadable,
}

impl RequestFailure {
    /// Returns whether the failure means that the server is overloaded.
    pub fn is_overload(self) -> bool {
        matches!(self, Self::TooManyRequests | Self::Unavailable | Self::TimedOut)
    }

    /// Returns the reason in words, for messages.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotConnected => "no connection could be made",
            Self::TooManyRequests => "the server answered 429, too many requests",
            Self::Unavailable => "the server answered 503, not available",
            Self::Status => "the server refused the request",
            Self::ErrorEvent => "the server reported an error within its answer",
            Self::EndedEarly => "the connection ended before the answer did",
            Self::TimedOut => "no complete answer within request_timeout_sec",
            Self::Unreadable => "the answer is not what the API describes",
        }
    }
}

/// Tokens and time of one rank in one cycle, of one cycle, or of the whole experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InferenceMetrics {
    // The table of metrics (`crates/analysis/src/metrics`) describes each metric.
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
    #[serde(default)]
    pub median_chunk_interval_ms: Option<f64>,
    #[serde(default)]
    pub p99_chunk_interval_ms: Option<f64>,
    #[serde(default)]
    pub mean_time_to_first_answer_ms: Option<f64>,
    #[serde(default)]
    pub cached_input_tokens: Option<u64>,
    #[serde(default)]
    pub failed_requests: Option<u64>,
    #[serde(default)]
    pub answered_requests: Option<u64>,
    #[serde(default)]
    pub goodput: Option<f64>,
    #[serde(default)]
    pub median_ttft_ms: Option<f64>,
    #[serde(default)]
    pub p90_ttft_ms: Option<f64>,
    #[serde(default)]
    pub p99_ttft_ms: Option<f64>,
    #[serde(default)]
    pub median_tpot_ms: Option<f64>,
    #[serde(default)]
    pub p90_tpot_ms: Option<f64>,
    #[serde(default)]
    pub p99_tpot_ms: Option<f64>,
    #[serde(default)]
    pub p90_itl_ms: Option<f64>,
    #[serde(default)]
    pub mean_e2e_ms: Option<f64>,
    #[serde(default)]
    pub median_e2e_ms: Option<f64>,
    #[serde(default)]
    pub p90_e2e_ms: Option<f64>,
    #[serde(default)]
    pub p99_e2e_ms: Option<f64>,
    #[serde(default)]
    pub peak_gpu_memory_bytes: Option<u64>,
    #[serde(default)]
    pub peak_host_memory_bytes: Option<u64>,
}

/// Raw result of one rank in one cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RankCycle {
    /// Number of the worker process, from 0.
    pub rank: u32,
    /// Number of the cycle, from 0; warm-up is not a cycle.
    pub cycle: u32,
    /// UUIDs of the rank's own GPUs.
    pub gpus: Vec<String>,
    pub window: Window,
    pub inference: InferenceMetrics,
    pub energy: EnergyMetrics,
    pub compute: ComputeMetrics,
    pub requests: Vec<RequestMeasurement>,
    /// Requests of the cycle without a usable answer.
    #[serde(default)]
    pub failed_requests: Vec<FailedRequest>,
    /// Load of the process that sent the requests to a server; null for other engines.
    #[serde(default)]
    pub load_generator: Option<LoadGenerator>,
    /// The server's own figures for the cycle; null for other engines.
    #[serde(default)]
    pub server_report: Option<ServerReport>,
}

/// Effort of sending requests to a server and reading its answers. It is not part of the energy attributed to the
/// engine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoadGenerator {
    /// CPU time of the process in the window, in seconds.
    pub cpu_sec: f64,
    /// 99th percentile of the time that chunks waited in the socket before they were read, in milliseconds. Latencies
    /// are too long by this waiting time. Null where the kernel does not report when they arrived.
    pub lag_p99_ms: Option<f64>,
}
