//! `GET /metrics`.

use axum::extract::State as AxumState;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::exposition::{self, Format};
use super::gather;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Read metrics for Prometheus
///
/// Metrics of the queue, experiments, power and energy of every source, requests, database, meter and process, in the
/// Prometheus text format, or as OpenMetrics if `Accept` asks for it. Counters start at 0 when the server starts. A
/// value that is unknown has no sample. Addresses in the server's option `metrics_from` need no key.
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
