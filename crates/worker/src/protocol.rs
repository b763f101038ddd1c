//! The protocol between server and worker: JSON lines, each with the version. Orders arrive on the worker's standard
//! input. Reports go through a separate pipe, since native libraries print to standard output. The end of the orders
//! ends the worker.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use joulemark_experiment::Spec;
use joulemark_measurement::{
    CpuPlacement, FailedRequest, LoadGenerator, LoadReport, RequestMeasurement, ServerReport, WarmUpReport, Window,
};

/// Version of the protocol, raised with every change that an older peer would misread.
pub const VERSION: u32 = 1;

/// Descriptor of the pipe for a worker's reports, which the server leaves open.
pub const REPORT_DESCRIPTOR: i32 = 3;

/// The job of one rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub rank: u32,
    pub spec: Spec,
    /// File or folder of the model, its id on the Hugging Face hub when `from_hub`, or the name of the synthetic
    /// engine.
    pub model_path: PathBuf,
    pub from_hub: bool,
    pub placement: CpuPlacement,
    /// Number of elements of a paged key-value cache for one token; absent where the model's files do not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_elements_per_token: Option<u64>,
    /// Maximum length of a sequence in tokens; absent where the model's files do not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context_tokens: Option<u64>,
    /// The server to send prompts to, when the engine is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerJob>,
}

/// A server that the rank sends its prompts to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerJob {
    /// Address of the server, such as `http://127.0.0.1:8000`.
    pub endpoint: String,
    /// Name of the model on the server; absent for the only one that it serves.
    pub model: Option<String>,
    /// Key that is sent as `Authorization: Bearer`. The worker only gets it through this line.
    pub api_key: Option<String>,
    /// Path that answers with status 200 once the server is ready.
    pub health: Option<String>,
    /// Maximum time until the server is ready, in milliseconds.
    pub ready_within_ms: u64,
    /// Maximum length of a sequence in tokens, where the configuration or the model's files state it.
    pub max_sequence_tokens: Option<u32>,
}

impl std::fmt::Debug for ServerJob {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = self.api_key.as_ref().map(|_| "…");
        formatter
            .debug_struct("ServerJob")
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("api_key", &key)
            .finish_non_exhaustive()
    }
}

/// An order of the server to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Order {
    Load(Box<Job>),
    WarmUp,
    Measure { cycle: u32 },
    Finish,
}

impl Order {
    /// Returns the order's name in the protocol.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::WarmUp => "warm_up",
            Self::Measure { .. } => "measure",
            Self::Finish => "finish",
        }
    }
}

/// A report of a worker to the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The process has started and waits for its job.
    Hello { pid: u32 },
    /// Loading of the model begins.
    Loading { at_monotonic_sec: f64 },
    /// The model is loaded.
    Loaded {
        load: Box<LoadReport>,
        truncated_prompts: u32,
    },
    /// The warm-up has ended.
    WarmedUp {
        window: Window,
        /// How the warm-up went; absent in reports of older engines.
        #[serde(default)]
        warm_up: Option<WarmUpReport>,
    },
    /// Sent at most every half second, and only when tokens were chosen since the last report, or while no request of a
    /// load is due: silence means a stall.
    Progress { tokens: u64 },
    /// The cycle's window has ended; its requests are reported afterwards.
    Measured { cycle: u32, window: Window },
    /// A request of the cycle.
    Request {
        cycle: u32,
        request: Box<RequestMeasurement>,
    },
    /// A failed request of the cycle, which has no answer to measure.
    RequestFailed { cycle: u32, request: FailedRequest },
    /// What the rank itself used to send the cycle's requests to a server, and the server's own metrics of the cycle.
    Generated {
        cycle: u32,
        load_generator: LoadGenerator,
        server_report: Box<ServerReport>,
    },
    /// All requests of the cycle have been reported.
    CycleReported { cycle: u32 },
    /// The rank has failed and ends.
    Failed { message: String },
}

/// The error for a line that cannot be decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProtocolError {
    #[error("the peer speaks protocol version {theirs}, this side {VERSION}: both must be the same build")]
    OtherVersion { theirs: u32 },
    #[error("a line is not of the protocol: {0}")]
    Malformed(String),
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    v: u32,
    message: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Encodes a message as one line, with the line feed.
pub fn encode<T: Serialize>(message: &T) -> String {
    let line = Line { v: VERSION, message };
    let mut text = serde_json::to_string(&line).expect("the protocol's types have text keys and no failing serializer");
    text.push('\n');
    text
}

/// Decodes a line.
///
/// # Errors
/// Returns a [`ProtocolError`]: give up the peer, since it cannot be understood.
pub fn decode<T: DeserializeOwned>(line: &str) -> Result<T, ProtocolError> {
    let malformed = |error: serde_json::Error| ProtocolError::Malformed(error.to_string());
    let version: VersionOnly = serde_json::from_str(line).map_err(malformed)?;
    if version.v != VERSION {
        return Err(ProtocolError::OtherVersion { theirs: version.v });
    }
    serde_json::from_str::<Line<T>>(line)
        .map(|line| line.message)
        .map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        for order in [Order::WarmUp, Order::Measure { cycle: 3 }, Order::Finish] {
            assert_eq!(decode::<Order>(&encode(&order)), Ok(order));
        }
        let report = Report::Measured {
            cycle: 1,
            window: Window {
                start_monotonic_sec: 1.25,
                end_monotonic_sec: 2.5,
            },
        };
        assert_eq!(decode::<Report>(&encode(&report)), Ok(report));
    }

    #[test]
    fn another_version_is_an_error_even_when_its_message_is_unknown() {
        let line = r#"{"v": 2, "message": {"type": "sing"}}"#;
        assert_eq!(decode::<Order>(line), Err(ProtocolError::OtherVersion { theirs: 2 }));
        assert!(matches!(decode::<Order>("hello"), Err(ProtocolError::Malformed(_))));
    }
}
