//! Where time went, for an OpenTelemetry collector: a span for each request, and a trace for each attempt at an
//! experiment, linked to the request that submitted it. Owns the exporter to the collector and its words; without one,
//! nothing is made and nothing is kept. A collector that is away costs spans, never time: they are sent by a thread of
//! their own from a queue of bounded length.

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

/// How long the end of the server waits for the last spans to go out.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The exporter to the collector; none where there is no collector. Clones share it.
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

    /// Begins a request's span, within the trace that its `traceparent` names, if it does.
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

    /// Sends what has gathered, for at most two seconds. Blocks.
    pub fn close(&self) {
        if let Some(exporter) = &self.0
            && let Err(error) = exporter.provider.shutdown_with_timeout(LAST_WORDS)
        {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

/// A request on its way; ended when it is dropped.
#[derive(Debug)]
pub struct RequestSpan(Option<Box<Span>>);

impl RequestSpan {
    /// What an experiment that this request submits is linked to; none where no traces are taken.
    pub fn traceparent(&self) -> Option<String> {
        self.0.as_ref().map(|span| written(span.span_context()))
    }

    /// `status` is none when the client went away before there was an answer.
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

/// As W3C Trace Context writes it, version 00.
fn written(context: &SpanContext) -> String {
    let flags = context.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

/// None for what is not one.
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

/// The wall clock's time of a moment of this host's monotonic clock.
fn wall(at: Monotonic) -> SystemTime {
    let ago_sec = Monotonic::now().sec_since(at);
    let (now, ago) = (system_time(clock::wall_now()), Duration::from_secs_f64(ago_sec.abs()));
    if ago_sec >= 0.0 { now - ago } else { now + ago }
}

/// Whether whoever asked for this trace wants it to be recorded.
fn is_sampled(context: &SpanContext) -> bool {
    context.trace_flags() & TraceFlags::SAMPLED == TraceFlags::SAMPLED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_reads_back_as_it_was_written_and_nonsense_is_none() {
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
    fn without_a_collector_there_is_nothing_to_link_to() {
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
