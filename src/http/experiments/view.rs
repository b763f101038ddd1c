use serde::Serialize;
use utoipa::ToSchema;

use crate::http::access::Caller;
use crate::progress::Progress;
use crate::scheduler::QueueWait;
use joulemark_experiment::report::Report;
use joulemark_experiment::{
    Callback, CallbackState, DroppedPrompts, DurationEstimate, ExperimentId, Failure, Prompts, Spec, State, Warning,
};
use joulemark_measurement::RequestMeasurement;
use joulemark_store::{NewExperiment, Record};

/// An experiment as it is shown: every field of the submission with its default filled in, and how far it has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct Experiment {
    pub id: ExperimentId,
    pub state: State,
    /// How often it was started; above 1 after a server stopped or went away beneath it.
    pub attempt: u32,
    /// The node that runs it, or ran it last; null while it is queued.
    pub node_name: Option<String>,
    /// When it was accepted, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: jiff::Timestamp,
    /// When its devices were leased to it; null while it is queued.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub started_at: Option<jiff::Timestamp>,
    /// When it was completed, failed or was cancelled, RFC 3339; null before.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<jiff::Timestamp>,
    /// What it is doing now; null unless it runs on the server that was asked.
    pub progress: Option<Progress>,
    /// Why no live node can run it as things are, though one could when it was accepted; null when one can, when it does
    /// not wait, and in lists.
    pub waiting_for: Option<String>,
    /// Its place among all that wait, from 1, in the order in which they would start as things are; null when it does not
    /// wait. An experiment that comes later goes before it where its priority is higher or its user had less device time.
    pub queue_position: Option<u64>,
    /// What it waits for, and who has it; null when it does not wait, and in lists.
    pub queue_wait: Option<QueueWait>,
    /// How long it will take from its start to its end, by past runs of its model or by its own pace: an estimate. Null
    /// once it is finished, and in lists.
    pub duration_estimate: Option<DurationEstimate>,
    /// Why it failed; null unless it did. Where prompts are withheld, so is all of it but reason, rank and phase: a worker
    /// may quote them.
    pub failure: Option<Failure>,
    /// What is allowed but weakens the result.
    pub warnings: Vec<Warning>,
    /// Who submitted it; null on a server without authentication.
    #[schema(example = "ada")]
    pub submitter: Option<String>,
    /// Who is told of its end, and what came of that; null when nobody is, when it is another's, and in lists.
    pub callback: Option<Callback>,
    /// The X-Request-Id under which it was submitted, as in the server's log; null where an earlier version queued it.
    #[schema(example = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11")]
    pub request_id: Option<String>,
    /// How many prompts are left out of `prompts` or `prompt_lines`, because they are another's; null when both are whole.
    pub prompts_withheld: Option<u32>,
    /// What was in `prompts`, which is empty, before this server dropped it (prompt_retention_days); null where nothing was
    /// dropped.
    pub prompts_dropped: Option<DroppedPrompts>,
    #[serde(flatten)]
    pub spec: Spec,
}

impl Experiment {
    /// As it is in the moment of its acceptance.
    pub fn accepted(new: NewExperiment) -> Self {
        Self {
            id: new.id,
            state: State::Queued,
            attempt: 0,
            node_name: None,
            created_at: new.created_at,
            started_at: None,
            finished_at: None,
            progress: None,
            waiting_for: None,
            queue_position: None,
            queue_wait: None,
            duration_estimate: None,
            failure: None,
            warnings: new.warnings,
            submitter: new.submitted_by.name,
            callback: new.callback.map(|callback| Callback {
                url: callback.url,
                state: CallbackState::Waiting,
                delivery_id: callback.delivery_id,
                attempts: 0,
                last_status: None,
                last_error: None,
                last_attempt_at: None,
                next_attempt_at: None,
            }),
            request_id: new.arrival.request_id,
            prompts_withheld: None,
            prompts_dropped: None,
            spec: new.spec,
        }
    }

    /// As the caller may see it.
    pub fn new(record: Record, progress: Option<Progress>, caller: &Caller) -> Self {
        let failure = shown_failure(&record, caller);
        let prompts_dropped = shown_dropped(&record, caller);
        let (spec, prompts_withheld) = shown(record.spec, record.submitter.as_deref(), caller);
        Self {
            id: record.id,
            state: record.state,
            attempt: record.attempt,
            node_name: record.node_name,
            created_at: record.created_at,
            started_at: record.started_at,
            finished_at: record.finished_at,
            progress: progress.filter(|_| !record.state.is_finished()),
            waiting_for: None,
            queue_position: None,
            queue_wait: None,
            duration_estimate: None,
            failure,
            warnings: record.warnings,
            submitter: record.submitter,
            callback: None,
            request_id: record.arrival.request_id,
            prompts_withheld,
            prompts_dropped,
            spec,
        }
    }
}

/// Whether the experiment's texts are another's secret: its own, and those of a file. Built-in sets and random tokens are
/// nobody's.
pub fn hides_texts(spec: &Spec, submitter: Option<&str>, caller: &Caller) -> bool {
    matches!(spec.prompts, Prompts::Texts(_)) && !caller.may_see_prompts_of(submitter)
}

/// Why it failed, without what may quote a text that the caller may not see.
pub fn shown_failure(record: &Record, caller: &Caller) -> Option<Failure> {
    let failure = record.failure.as_ref()?;
    Some(match hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        true => failure.without_quotes(),
        false => failure.clone(),
    })
}

/// Returns what is said of prompts that were dropped: their hash would tell whether another's are what one guesses.
pub fn shown_dropped(record: &Record, caller: &Caller) -> Option<DroppedPrompts> {
    let mut dropped = record.dropped_prompts.clone()?;
    if hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        dropped.sha256 = None;
    }
    Some(dropped)
}

/// The requests without their output, which tells of the texts that led to it; times and counts stay.
pub fn without_token_ids(mut requests: Vec<RequestMeasurement>) -> Vec<RequestMeasurement> {
    for request in &mut requests {
        request.output_token_ids.clear();
        // A short answer can be guessed by its hash.
        request.output_text_sha256 = None;
    }
    requests
}

/// Returns a report as the caller may see it: what it is computed from is a bundle's, and another's answers are told by no digest.
pub fn shown_report(mut report: Report, record: &Record, caller: &Caller) -> Report {
    report.readings = None;
    if hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        report.outputs = None;
    }
    report
}

/// The spec without the texts that the caller may not see, and how many those are.
pub fn shown(mut spec: Spec, submitter: Option<&str>, caller: &Caller) -> (Spec, Option<u32>) {
    let hidden = hides_texts(&spec, submitter, caller);
    // A file's are in no answer: it is named by whoever repeats it.
    if !hidden || spec.has_prompts_of_a_file() {
        return (spec, None);
    }
    // Where they were dropped there is nothing to withhold.
    let withheld = spec.prompt_count().filter(|count| *count > 0);
    spec.prompts = Prompts::Texts(Vec::new());
    spec.prompt_lines.clear();
    (spec, withheld)
}
