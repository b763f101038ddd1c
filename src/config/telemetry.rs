use serde::Deserialize;

use super::option::section;
use joulemark_measurement::quoted;

section! {
    /// What the server tells of itself.
    pub struct Telemetry with TelemetryFlags {
        /// Collector that takes OpenTelemetry traces by OTLP over HTTP, such as http://127.0.0.1:4318 [default: none].
        ///
        /// It is the collector's base URL: traces go to /v1/traces under it. OTEL_EXPORTER_OTLP_ENDPOINT is read when
        /// JOULEMARK_OTLP_ENDPOINT is not set. Empty: no traces, at no cost.
        otlp_endpoint: String = "", also "OTEL_EXPORTER_OTLP_ENDPOINT";

        /// human or json.
        log_format: String as LogFormat = "human";

        /// Log what workers and engines print and say, and the messages of panics.
        ///
        /// They may quote prompts. Otherwise the log has reason, rank and phase of a failure, and a panic's place; the
        /// experiment's own `failure` has all of it, for those who may read its prompts.
        #[arg(num_args = 0..=1, default_missing_value = "true")]
        log_worker_output: bool = false;

        /// Filter of the log, in tracing-subscriber's syntax.
        log: String = "info";
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Human,
    Json,
}

impl Telemetry {
    /// What the types cannot say. Each message names the option and what is accepted.
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
