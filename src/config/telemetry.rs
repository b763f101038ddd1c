//! Options on the log and on traces.

use serde::Deserialize;

use super::option::section;
use joulemark_measurement::quoted;

section! {
    /// Options on the log and on traces.
    pub struct Telemetry with TelemetryFlags {
        /// Collector of OpenTelemetry traces by OTLP over HTTP, e.g. http://127.0.0.1:4318 [default: none].
        ///
        /// This is the base URL: traces are sent to /v1/traces below it. OTEL_EXPORTER_OTLP_ENDPOINT is read if
        /// JOULEMARK_OTLP_ENDPOINT is not set. If empty, no traces are recorded.
        otlp_endpoint: String = "", also "OTEL_EXPORTER_OTLP_ENDPOINT";

        /// Format of the log: human or json.
        log_format: String as LogFormat = "human";

        /// Log the output of workers and engines, and the messages of panics.
        ///
        /// They may quote prompts. Otherwise the log has the reason, rank and phase of a failure and the location of a
        /// panic. The experiment's `failure` always has the full output, for users who may read its prompts.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        log_worker_output: bool = false;

        /// Filter of the log, in the syntax of tracing-subscriber.
        log: String = "info";
    }
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Human,
    Json,
}

impl Telemetry {
    /// Returns the problem of the options, if any. The message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        let endpoint = &self.otlp_endpoint;
        let host = endpoint
            .strip_prefix("http://")
            .or_else(|| endpoint.strip_prefix("https://"));
        let is_usable = endpoint.is_empty() || host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        (!is_usable).then(|| {
            format!(
                "otlp_endpoint is {endpoint}; accepted is the base URL of a collector that takes OTLP over HTTP, such as \
                 http://127.0.0.1:4318", endpoint = quoted(&endpoint)
            )
        })
    }
}
