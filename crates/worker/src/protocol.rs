//! Server and worker speak JSON lines, each with the version: orders come down the worker's standard input, reports go
//! up a pipe of their own, since native libraries print to standard output. End of file on the orders ends the worker.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use joulemark_experiment::Spec;
use joulemark_measurement::{
    CpuPlacement, FailedRequest, LoadGenerator, LoadReport, RequestMeasurement, ServerReport, WarmUpReport, Window,
};

/// Raised with every change that an older peer would misread.
pub const VERSION: u32 = 1;

/// The descriptor that the server leaves open to a worker for its reports.
pub const REPORT_DESCRIPTOR: i32 = 3;

/// What one rank is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub rank: u32,
    pub spec: Spec,
    /// The model's file or folder, the hub id when `from_hub`, or the synthetic engine's name.
    pub model_path: PathBuf,
    pub from_hub: bool,
    pub placement: CpuPlacement,
    /// Elements of a paged key-value cache that one token takes; absent where the model's files do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_elements_per_token: Option<u64>,
    /// Tokens of the longest sequence that the model takes; absent where its files do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_context_tokens: Option<u64>,
    /// Where the engine listens, when it is a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerJob>,
}

/// A server that the rank sends its prompts to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerJob {
    /// Such as `http://127.0.0.1:8000`.
    pub endpoint: String,
    /// The model as the server names it; the one that it serves where it is absent.
    pub model: Option<String>,
    /// Sent as `Authorization: Bearer`. It reaches the worker by this line and in no other way.
    pub api_key: Option<String>,
    /// The path that answers 200 once the server is ready.
    pub health: Option<String>,
    /// How long it may take to be ready, in milliseconds.
    pub ready_within_ms: u64,
    /// Longest sequence in tokens, where the configuration or the model's files say it.
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Order {
    Load(Box<Job>),
    WarmUp,
    Measure { cycle: u32 },
    Finish,
}

impl Order {
    /// Returns the word that it has in the protocol.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Load(_) => "load",
            Self::WarmUp => "warm_up",
            Self::Measure { .. } => "measure",
            Self::Finish => "finish",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The process is up and waits for its job.
    Hello {
        pid: u32,
    },
    /// Loading begins.
    Loading {
        at_monotonic_sec: f64,
    },
    Loaded {
        load: Box<LoadReport>,
        truncated_prompts: u32,
    },
    WarmedUp {
        window: Window,
        /// How it went; absent from an engine of before this was told.
        #[serde(default)]
        warm_up: Option<WarmUpReport>,
    },
    /// Sent at most every half second, and only when tokens were chosen since, or while no request of a load is due: silence is a
    /// stall.
    Progress {
        tokens: u64,
    },
    /// The cycle's window is closed; its requests follow, outside of it.
    Measured {
        cycle: u32,
        window: Window,
    },
    Request {
        cycle: u32,
        request: Box<RequestMeasurement>,
    },
    /// A request of the cycle that has no answer to be counted.
    RequestFailed {
        cycle: u32,
        request: FailedRequest,
    },
    /// What it took the rank to send the cycle's requests to a server, and what the server said of itself meanwhile.
    Generated {
        cycle: u32,
        load_generator: LoadGenerator,
        server_report: Box<ServerReport>,
    },
    /// All requests of the cycle are out.
    CycleReported {
        cycle: u32,
    },
    Failed {
        message: String,
    },
}

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

/// One line, newline included.
pub fn encode<T: Serialize>(message: &T) -> String {
    let line = Line { v: VERSION, message };
    let mut text = serde_json::to_string(&line).expect("the protocol's types have text keys and no failing serializer");
    text.push('\n');
    text
}

/// # Errors
/// [`ProtocolError`]: give the peer up, it cannot be understood.
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
    fn another_version_is_refused_even_when_its_message_is_unknown() {
        let line = r#"{"v": 2, "message": {"type": "sing"}}"#;
        assert_eq!(decode::<Order>(line), Err(ProtocolError::OtherVersion { theirs: 2 }));
        assert!(matches!(decode::<Order>("hello"), Err(ProtocolError::Malformed(_))));
    }
}
