//! The trace of one attempt at an experiment: its queue wait and each phase until its end is stored.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Link, Span as _, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::{Traces, is_sampled, read, system_time, wall};
use joulemark_experiment::{Arrival, ExperimentId};
use joulemark_measurement::clock::Monotonic;

/// Facts about an attempt that its trace begins with.
#[derive(Clone, Copy, Debug)]
pub struct TraceStart<'a> {
    pub id: ExperimentId,
    pub attempt: u32,
    pub model_name: &'a str,
    pub arrival: &'a Arrival,
    /// Time since which it waited; `None` for an attempt after the first, which waited only since the end of the
    /// previous one.
    pub queued_at: Option<jiff::Timestamp>,
    pub claimed_at: Monotonic,
}

/// Trace of a running attempt; empty when nothing is recorded. It ends with its last clone.
#[derive(Clone, Debug, Default)]
pub struct ExperimentTrace(Option<Arc<Root>>);

#[derive(Debug)]
struct Root {
    tracer: SdkTracer,
    context: Context,
}

impl Drop for Root {
    fn drop(&mut self) {
        self.context.span().end();
    }
}

impl Traces {
    /// Starts a separate trace for an attempt, since an experiment may wait for days after its request and be tried
    /// again. It is not recorded when the request's trace is not.
    pub fn experiment(&self, start: TraceStart<'_>) -> ExperimentTrace {
        let Some(exporter) = &self.0 else {
            return ExperimentTrace(None);
        };
        let submission = start.arrival.traceparent.as_deref().and_then(read);
        if submission.as_ref().is_some_and(|submission| !is_sampled(submission)) {
            return ExperimentTrace(None);
        }
        let claimed_at = wall(start.claimed_at);
        let queued_at = start.queued_at.map(system_time).filter(|queued| *queued <= claimed_at);
        let mut attributes = vec![
            KeyValue::new("joulemark.experiment_id", start.id.to_string()),
            KeyValue::new("joulemark.attempt", i64::from(start.attempt)),
            KeyValue::new("joulemark.model_name", start.model_name.to_owned()),
        ];
        let request_id = start.arrival.request_id.clone();
        attributes.extend(request_id.map(|id| KeyValue::new("joulemark.request_id", id)));
        let builder = exporter.tracer.span_builder("experiment").with_attributes(attributes);
        let builder = builder
            .with_start_time(queued_at.unwrap_or(claimed_at))
            .with_links(submission.map(Link::with_context).into_iter().collect());
        let root = Context::new().with_span(builder.start_with_context(&exporter.tracer, &Context::new()));
        let trace = ExperimentTrace(Some(Arc::new(Root {
            tracer: exporter.tracer.clone(),
            context: root,
        })));
        if let Some(queued_at) = queued_at {
            trace.past("queue wait", (queued_at, claimed_at), Vec::new());
        }
        trace
    }
}

impl ExperimentTrace {
    /// Starts a phase.
    pub fn phase(&self, name: &'static str) -> Phase {
        let since = Monotonic::now();
        self.phase_since(name, since)
    }

    /// Starts a phase that began earlier.
    pub fn phase_since(&self, name: &'static str, since: Monotonic) -> Phase {
        let context = self.0.as_ref().map(|root| {
            let builder = root.tracer.span_builder(name).with_start_time(wall(since));
            let span = builder.start_with_context(&root.tracer, &root.context);
            root.context.with_span(span)
        });
        Phase {
            trace: self.clone(),
            context,
            is_done: false,
        }
    }

    /// Records how the attempt ended: the state, and for a failure the code of the reason, which quotes no prompt.
    pub fn ended(&self, state: Option<&'static str>, reason: Option<&'static str>) {
        let Some(root) = &self.0 else { return };
        let span = root.context.span();
        // Without a state, the experiment returns to the queue or another attempt has it.
        span.set_attribute(KeyValue::new("joulemark.state", state.unwrap_or("given back")));
        if let Some(reason) = reason {
            span.set_status(Status::error(reason));
        }
    }

    fn past(&self, name: &'static str, (start, end): (SystemTime, SystemTime), attributes: Vec<KeyValue>) {
        let Some(root) = &self.0 else { return };
        let builder = root
            .tracer
            .span_builder(name)
            .with_start_time(start)
            .with_attributes(attributes);
        builder
            .start_with_context(&root.tracer, &root.context)
            .end_with_timestamp(end);
    }
}

/// A phase of the attempt. It counts as failed when it is dropped before it is done.
#[derive(Debug)]
pub struct Phase {
    trace: ExperimentTrace,
    context: Option<Context>,
    is_done: bool,
}

impl Phase {
    /// Adds an attribute to the phase.
    pub fn note(&self, name: &'static str, value: u32) {
        if let Some(context) = &self.context {
            context.span().set_attribute(KeyValue::new(name, i64::from(value)));
        }
    }

    /// Adds the part of one rank, from its own report.
    pub fn of_rank(&self, rank: u32, start: Monotonic, end: Monotonic) {
        let (Some(root), Some(context)) = (&self.trace.0, &self.context) else {
            return;
        };
        let builder = root.tracer.span_builder("rank").with_start_time(wall(start));
        let builder = builder.with_attributes([KeyValue::new("joulemark.rank", i64::from(rank))]);
        builder
            .start_with_context(&root.tracer, context)
            .end_with_timestamp(wall(end));
    }

    /// Ends the phase as successful.
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        let Some(context) = &self.context else { return };
        if !self.is_done {
            context.span().set_status(Status::error("it was not finished"));
        }
        context.span().end();
    }
}
