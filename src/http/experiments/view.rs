use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::{Callback, CallbackState, ExperimentId, Failure, Prompts, Spec, State, Warning};
use crate::http::access::Caller;
use crate::progress::Progress;
use crate::store::{NewExperiment, Record};

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
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<jiff::Timestamp>,
    /// What it is doing now; null unless it runs on the server that was asked.
    pub progress: Option<Progress>,
    /// Why no live node can run it as things are, though one could when it was accepted; null when one can, when it does
    /// not wait, and in lists.
    pub waiting_for: Option<String>,
    /// Why it failed; null unless it did.
    pub failure: Option<Failure>,
    /// What is allowed but weakens the result.
    pub warnings: Vec<Warning>,
    /// Who submitted it; null on a server without authentication.
    #[schema(example = "ada")]
    pub submitter: Option<String>,
    /// Who is told of its end, and what came of that; null when nobody is, when it is another's, and in lists.
    pub callback: Option<Callback>,
    /// How many prompts are left out of `prompts`, because they are another's; null when it is whole.
    pub prompts_withheld: Option<u32>,
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
            prompts_withheld: None,
            spec: new.spec,
        }
    }

    /// As the caller may see it.
    pub fn new(record: Record, progress: Option<Progress>, caller: &Caller) -> Self {
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
            failure: record.failure,
            warnings: record.warnings,
            submitter: record.submitter,
            callback: None,
            prompts_withheld,
            spec,
        }
    }
}

/// The spec without the texts that the caller may not see, and how many those are. Built-in sets and random tokens are
/// nobody's secret.
pub fn shown(mut spec: Spec, submitter: Option<&str>, caller: &Caller) -> (Spec, Option<u32>) {
    let withheld = match &mut spec.prompts {
        Prompts::Texts(texts) if !caller.may_see_prompts_of(submitter) => {
            Some(u32::try_from(std::mem::take(texts).len()).unwrap_or(u32::MAX))
        }
        _ => None,
    };
    (spec, withheld)
}
