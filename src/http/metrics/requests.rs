//! Metrics of requests.

use std::fmt;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::{family::Family, gauge::Gauge, histogram::Histogram};

use joulemark_store::metrics::quick_sec;

/// Returns the name of a method, with one name for all unusual ones, so that clients cannot create series.
pub fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Labels of a request. `route` is the pattern of the route table, never the path, so that random paths create no
/// series.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    method: &'static str,
    route: String,
    status: &'static str,
}

impl RequestLabels {
    /// Returns the labels; `status` is `None` if the client disconnected before the answer.
    pub fn new(method: &Method, route: Option<&str>, status: Option<StatusCode>) -> Self {
        let method = method_name(method);
        let status = match status.map(|status| status.as_u16() / 100) {
            Some(1) => "1xx",
            Some(2) => "2xx",
            Some(3) => "3xx",
            Some(4) => "4xx",
            Some(_) => "5xx",
            None => "gone",
        };
        Self {
            method,
            route: route.unwrap_or("none").to_owned(),
            status,
        }
    }
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        let labels = [
            ("method", self.method),
            ("route", self.route.as_str()),
            ("status", self.status),
        ];
        labels.encode(encoder)
    }
}

/// Counts and durations of requests, from the headers to the head of the answer; a streamed body is not included.
/// Clones share the counters.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    pub in_flight: Gauge,
    pub duration_sec: Family<RequestLabels, Histogram, fn() -> Histogram>,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self {
            in_flight: Gauge::default(),
            duration_sec: Family::new_with_constructor(quick_sec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_create_few_series() {
        let labels = |method: &str, status: u16| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            RequestLabels::new(&method, None, StatusCode::from_u16(status).ok())
        };
        assert_eq!(labels("BREW", 404), labels("PROPFIND", 499));
        assert_eq!(labels("GET", 503), labels("GET", 999));
        assert_eq!(labels("GET", 1).status, "gone");
    }
}
