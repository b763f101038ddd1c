//! Experiments as the API shows them, without texts that the caller may not read.

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

/// An experiment: every field of the submission with defaults filled in, and its progress.
#[derive(Debug, Serialize, ToSchema)]
pub struct Experiment {
    pub id: ExperimentId,
    pub state: State,
    /// Number of times it was started; above 1 if a server stopped or failed while running it.
    pub attempt: u32,
    /// Node that runs it or ran it last; null while it is queued.
    pub node_name: Option<String>,
    /// Time of acceptance, RFC 3339.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: jiff::Timestamp,
    /// Time at which it leased its devices; null while it is queued.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub started_at: Option<jiff::Timestamp>,
    /// Time at which it completed, failed or was cancelled, RFC 3339; null before.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<jiff::Timestamp>,
    /// Its present activity; null unless it runs on the server that answers.
    pub progress: Option<Progress>,
    /// Reason why no live node can run it at present, although one could when it was accepted; null if one can, if it
    /// is not queued, and in lists.
    pub waiting_for: Option<String>,
    /// Position among all queued experiments, from 1, in the order in which they would start at present; null if it is
    /// not queued. A later experiment overtakes it if its priority is higher or its user had less device time.
    pub queue_position: Option<u64>,
    /// What it waits for, and who holds that; null if it is not queued, and in lists.
    pub queue_wait: Option<QueueWait>,
    /// An estimate of the duration from start to end, by past runs of its model or by its own pace. Null once it is
    /// finished, and in lists.
    pub duration_estimate: Option<DurationEstimate>,
    /// Why it failed; null unless it did. If prompts are withheld, only reason, rank and phase are given, since a
    /// worker's message may quote prompts.
    pub failure: Option<Failure>,
    /// Circumstances that are allowed but weaken the result.
    pub warnings: Vec<Warning>,
    /// Authenticated user who submitted it; null on a server without authentication.
    #[schema(example = "ada")]
    pub submitter: Option<String>,
    /// The callback and its outcome; null without a callback, if the caller may not change the experiment, and in
    /// lists.
    pub callback: Option<Callback>,
    /// X-Request-Id of the submission, as in the server's log; null if an earlier version of the server queued it.
    #[schema(example = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11")]
    pub request_id: Option<String>,
    /// Number of prompts that `prompts` or `prompt_lines` omits because the caller may not read them; null if none is
    /// omitted.
    pub prompts_withheld: Option<u32>,
    /// Description of `prompts` if this server has deleted them (prompt_retention_days); null otherwise.
    pub prompts_dropped: Option<DroppedPrompts>,
    #[serde(flatten)]
    pub spec: Spec,
}

impl Experiment {
    /// Returns a new experiment as it was accepted.
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

    /// Returns an experiment, as the caller may see it.
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

/// Returns whether the experiment has texts that the caller may not read: prompts of the submission or of a file.
/// Built-in sets and random tokens are not secret.
pub fn hides_texts(spec: &Spec, submitter: Option<&str>, caller: &Caller) -> bool {
    matches!(spec.prompts, Prompts::Texts(_)) && !caller.may_see_prompts_of(submitter)
}

/// Returns why an experiment failed, without parts that may quote a hidden text.
pub fn shown_failure(record: &Record, caller: &Caller) -> Option<Failure> {
    let failure = record.failure.as_ref()?;
    Some(match hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        true => failure.without_quotes(),
        false => failure.clone(),
    })
}

/// Returns the description of deleted prompts, without the hash of hidden ones, which would confirm a guessed text.
pub fn shown_dropped(record: &Record, caller: &Caller) -> Option<DroppedPrompts> {
    let mut dropped = record.dropped_prompts.clone()?;
    if hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        dropped.sha256 = None;
    }
    Some(dropped)
}

/// Returns the requests without their output, which may reveal hidden prompts; times and counts remain.
pub fn without_token_ids(mut requests: Vec<RequestMeasurement>) -> Vec<RequestMeasurement> {
    for request in &mut requests {
        request.output_token_ids.clear();
        // A short answer could be guessed by its hash.
        request.output_text_sha256 = None;
    }
    requests
}

/// Returns a report without the readings, which only bundles contain, and without the digest of hidden answers.
pub fn shown_report(mut report: Report, record: &Record, caller: &Caller) -> Report {
    report.readings = None;
    if hides_texts(&record.spec, record.submitter.as_deref(), caller) {
        report.outputs = None;
    }
    report
}

/// Returns the spec without hidden texts, and the number of omitted prompts.
pub fn shown(mut spec: Spec, submitter: Option<&str>, caller: &Caller) -> (Spec, Option<u32>) {
    let hidden = hides_texts(&spec, submitter, caller);
    // No answer contains the texts of a file, which is named instead.
    if !hidden || spec.has_prompts_of_a_file() {
        return (spec, None);
    }
    // Deleted prompts are not withheld.
    let withheld = spec.prompt_count().filter(|count| *count > 0);
    spec.prompts = Prompts::Texts(Vec::new());
    spec.prompt_lines.clear();
    (spec, withheld)
}
