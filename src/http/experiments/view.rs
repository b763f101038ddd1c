use serde::Serialize;
use utoipa::ToSchema;

use crate::experiment::{ExperimentId, Failure, Spec, State, Warning};
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
            spec: new.spec,
        }
    }

    pub fn new(record: Record, progress: Option<Progress>) -> Self {
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
            spec: record.spec,
        }
    }
}
