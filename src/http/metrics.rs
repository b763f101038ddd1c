//! What this server counts and measures, for Prometheus. Gathered when it is asked for, in one place; the rooms below
//! count by `crate::metrics` and know nothing of it.

mod exposition;
mod gather;
mod process;
mod requests;

use std::sync::Arc;

use axum::extract::State as AxumState;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{problem::Problem, state::AppState};
use crate::clock;
use exposition::Format;
use gather::KnownDepth;
pub use requests::{RequestLabels, RequestMetrics, method_name};

/// What HTTP itself counts, and what a scrape remembers for the next one.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub requests: RequestMetrics,
    pub started_at: Timestamp,
    depth: Arc<Mutex<Option<KnownDepth>>>,
}

impl Metrics {
    /// Of a server that starts now.
    pub fn start() -> Self {
        Self {
            requests: RequestMetrics::default(),
            started_at: clock::wall_now(),
            depth: Arc::default(),
        }
    }
}

/// Metrics for Prometheus
///
/// Queue, experiments, power and energy of every source, requests, database, meter and process, in Prometheus' text
/// format, or as OpenMetrics where `Accept` asks for it. Counters begin with the server. What is unknown has no sample.
/// Addresses that the server's option `metrics_from` lists need no key.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "getMetrics",
    responses((status = 200, description = "Every metric with its description and unit.",
        content((String = "text/plain"), (String = "application/openmetrics-text")))))]
pub async fn metrics(AxumState(state): AxumState<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let format = Format::asked_for(&headers);
    let sheet = gather::gather(&state).await;
    let text = exposition::text(format, &state, sheet).map_err(|_| Problem::internal())?;
    let content_type = HeaderValue::from_static(format.content_type());
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
