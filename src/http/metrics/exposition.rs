//! Serializes gathered metrics into the text that Prometheus reads.

use std::fmt;

use axum::http::{HeaderMap, header};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, prometheus_text, text as openmetrics};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::http::state::AppState;

const PREFIX: &str = "joulemark";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// Returns OpenMetrics if the `Accept` header names it, and the Prometheus format for everybody else.
    pub fn asked_for(headers: &HeaderMap) -> Self {
        let names = |value: &str| value.contains("application/openmetrics-text");
        let mut accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        match accepted.any(names) {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A metric family gathered for this scrape; `name` excludes the unit and `_total`.
#[derive(Clone, Debug)]
pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub unit: Option<Unit>,
    pub kind: MetricType,
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// Families in the order in which they are written. A family without samples is left out, since unknown is not 0.
#[derive(Debug, Default)]
pub struct Sheet {
    families: Vec<Family>,
    /// Families with names that all services use, such as `process_open_fds`, which get no prefix.
    unprefixed: Vec<Family>,
}

impl Sheet {
    /// Adds a family whose name gets the prefix.
    pub fn add(&mut self, family: Family) {
        self.families.push(family);
    }

    /// Adds a family whose name gets no prefix.
    pub fn add_unprefixed(&mut self, family: Family) {
        self.unprefixed.push(family);
    }
}

#[derive(Debug)]
struct Gathered(Vec<Family>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in self.0.iter().filter(|family| !family.samples.is_empty()) {
            let mut metric = encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), family.kind)?;
            for (labels, value) in &family.samples {
                let sample = metric.encode_family(labels)?;
                match family.kind {
                    MetricType::Counter => ConstCounter::new(*value).encode(sample)?,
                    _ => ConstGauge::new(*value).encode(sample)?,
                }
            }
        }
        Ok(())
    }
}

/// Returns the text of the gathered families and of the running counters.
///
/// # Errors
/// Returns an error if writing into memory fails.
pub fn text(format: Format, state: &AppState, sheet: Sheet) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let own = registry.sub_registry_with_prefix(PREFIX);
    own.register_collector(Box::new(Gathered(sheet.families)));
    register_counted(own, state);
    registry.register_collector(Box::new(Gathered(sheet.unprefixed)));
    let mut text = String::new();
    match format {
        Format::Prometheus => prometheus_text::encode(&mut text, &registry)?,
        Format::OpenMetrics => openmetrics::encode(&mut text, &registry)?,
    }
    Ok(text)
}

/// Registers the metrics that are counted as events happen.
fn register_counted(own: &mut Registry, state: &AppState) {
    let (requests, experiments, store) = (
        &state.metrics.requests,
        state.scheduler.metrics(),
        state.resources.store.metrics(),
    );
    own.register(
        "http_requests_in_flight",
        "Requests whose answer has not begun",
        requests.in_flight.clone(),
    );
    own.register_with_unit(
        "http_request_duration",
        "Seconds from a request's headers to the head of its answer, by route; status is gone if the client disconnected first",
        Unit::Seconds,
        requests.duration_sec.clone(),
    );
    own.register(
        "experiments_finished",
        "Experiments that this server ended, by final state",
        experiments.finished.clone(),
    );
    own.register(
        "experiments_failed",
        "Experiments that this server ended as failed, by reason",
        experiments.failed.clone(),
    );
    own.register(
        "endings_in_memory",
        "Ends of runs that are stored neither in the database nor on disk; they are lost if the server stops",
        experiments.endings_in_memory.clone(),
    );
    own.register(
        "submissions_refused",
        "Submissions refused because of a limit; the reason is the kind of problem",
        state.metrics.refused_submissions.clone(),
    );
    own.register_with_unit(
        "experiment_queue_wait",
        "Seconds from submission to claim, of experiments that this server started",
        Unit::Seconds,
        experiments.queue_wait_sec.clone(),
    );
    own.register_with_unit(
        "experiment_run_duration",
        "Seconds from claim to stored end, of experiments that this server ran",
        Unit::Seconds,
        experiments.run_sec.clone(),
    );
    own.register_with_unit(
        "store_write_duration",
        "Seconds that a write to the database took until it was durable, by operation",
        Unit::Seconds,
        store.write_sec.clone(),
    );
    own.register(
        "store_write_failures",
        "Writes to the database that failed, by operation",
        store.write_failures.clone(),
    );
    own.register(
        "store_group_submissions",
        "Submissions that shared one commit",
        store.group_size.clone(),
    );
}
