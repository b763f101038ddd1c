//! Exports traces to an OpenTelemetry collector: a span for each request, and a trace for each attempt at an
//! experiment, linked to the request that submitted it. Without a collector, nothing is recorded. Spans are sent by a
//! separate thread from a queue of bounded length, so an unreachable collector loses spans but never delays the server.

mod collector;
mod experiment_trace;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry::trace::{TraceFlags, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

pub use collector::{TraceError, connect};
pub use experiment_trace::{ExperimentTrace, Phase, TraceStart};

use joulemark_measurement::clock::{self, Monotonic};

/// Maximum time that the shutdown waits until the last spans are sent.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Exporter to the collector; empty without a collector. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Exporter>>);

#[derive(Debug)]
struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    fn to(provider: SdkTracerProvider) -> Self {
        let tracer = provider.tracer("joulemark");
        Self(Some(Arc::new(Exporter { provider, tracer })))
    }

    /// Starts the span of a request, within the trace that `traceparent` names, if any.
    pub fn request(&self, method: &str, route: &str, traceparent: Option<&str>) -> RequestSpan {
        let Some(exporter) = &self.0 else {
            return RequestSpan(None);
        };
        let parent = traceparent
            .and_then(read)
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = exporter.tracer.span_builder(format!("{method} {route}"));
        let attributes = [
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
        ];
        let builder = builder.with_kind(SpanKind::Server).with_attributes(attributes);
        RequestSpan(Some(Box::new(builder.start_with_context(&exporter.tracer, &parent))))
    }

    /// Sends the remaining spans, within at most two seconds. Blocks.
    pub fn close(&self) {
        if let Some(exporter) = &self.0
            && let Err(error) = exporter.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

/// The span of a request in progress, which ends when it is dropped.
#[derive(Debug)]
pub struct RequestSpan(Option<Box<Span>>);

impl RequestSpan {
    /// Returns the `traceparent` to which an experiment that this request submits is linked; `None` when nothing is
    /// recorded.
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|span| written(span.span_context()))
    }

    /// Ends the span with the status of the answer; `None` when the client closed the connection before the answer.
    pub fn answered(&mut self, status: Option<u16>, request_id: &str) {
        let Some(span) = &mut self.0 else { return };
        span.set_attribute(KeyValue::new("joulemark.request_id", request_id.to_owned()));
        match status {
            Some(status) => {
                span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
                if status >= 500 {
                    span.set_status(Status::error(""));
                }
            }
            None => span.set_status(Status::error("the client went away")),
        }
        span.end();
    }
}

/// Formats a span context as `traceparent` of W3C Trace Context, version 00.
fn written(context: &SpanContext) -> String {
    let flags = context.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

/// Parses a `traceparent`; returns `None` when it is invalid.
fn read(traceparent: &str) -> Option<SpanContext> {
    use opentelemetry::propagation::TextMapPropagator as _;
    let carrier = std::collections::HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

fn system_time(time: jiff::Timestamp) -> SystemTime {
    let since_1970_ns = u64::try_from(time.as_nanosecond()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_nanos(since_1970_ns)
}

/// Converts a time of this host's monotonic clock to wall-clock time.
fn wall(at: Monotonic) -> SystemTime {
    let ago_sec = Monotonic::now().sec_since(at);
    let (now, ago) = (system_time(clock::wall_now()), Duration::from_secs_f64(ago_sec.abs()));
    if ago_sec >= 0.0 { now - ago } else { now + ago }
}

/// Returns whether the client that started this trace wants it to be recorded.
fn is_sampled(context: &SpanContext) -> bool {
    context.trace_flags() & TraceFlags::SAMPLED == TraceFlags::SAMPLED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_parsed_as_it_was_formatted_and_an_invalid_one_is_none() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = read(text).unwrap();
        assert!(is_sampled(&context));
        assert_eq!(written(&context), text);
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "zz-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "' OR 1=1 --",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn without_a_collector_there_is_no_traceparent() {
        let traces = Traces::default();
        let mut span = traces.request(
            "GET",
            "/healthz",
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        );
        assert_eq!(span.traceparent(), None);
        span.answered(Some(200), "a");
        traces.close();
    }
}
