//! Submissions prepared for the writer, and their outcomes.

use jiff::Timestamp;

use super::StoreError;
use super::queue_columns::QueueColumns;
use super::record::{NewCallback, NewExperiment, to_json, to_us};
use joulemark_experiment::access::{Action, AuditEntry};
use joulemark_experiment::{Arrival, ExperimentId, Prompts};

/// A client's name for a submission: sending the submission again under the same key does not queue it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// SHA-256 of the submission. The same key with another digest is an error of the client.
    pub body_sha256: String,
    /// Time at which the key can be used again.
    pub expires_at: Timestamp,
}

/// The outcome of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is queued.
    Stored,
    /// The same submission was sent before under this key, and queued this experiment.
    Repeated(ExperimentId),
    /// Another submission was sent before under this key.
    KeyTaken,
    /// The queue holds the maximum number of experiments.
    QueueFull,
    /// The submitter's quota of unfinished experiments is used up.
    QuotaUsedUp,
    /// The submitter's stored submissions, `used_bytes` without this one, would exceed the quota.
    TooMuchStored { used_bytes: u64 },
}

/// The limits that apply to a submission; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Maximum number of queued experiments of all users.
    pub queued: Option<u64>,
    /// Maximum number of queued and running experiments of the submitter.
    pub unfinished_of_submitter: Option<u64>,
    /// Maximum size of all submissions of the submitter, including this one, in bytes.
    pub stored_bytes_of_submitter: Option<u64>,
}

/// A submission as the rows to be inserted.
#[derive(Debug)]
pub struct Prepared {
    pub id: ExperimentId,
    pub(super) id_text: String,
    pub(super) spec: String,
    /// Whether the spec contains prompt texts of its own.
    pub(super) has_prompts: bool,
    pub(super) model_name: String,
    pub(super) engine: String,
    pub(super) warnings: String,
    pub(super) labels: Vec<(String, String)>,
    pub(super) queue: QueueColumns,
    pub(super) created_at_us: i64,
    pub(super) arrival: Arrival,
    pub(super) entry: AuditEntry,
    pub(super) callback: Option<NewCallback>,
    pub key: Option<IdempotencyKey>,
    pub quota: Quota,
}

impl Prepared {
    /// Serialises a submission.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
    pub fn new(new: &NewExperiment, key: Option<IdempotencyKey>, quota: Quota) -> Result<Self, StoreError> {
        let labels = new.spec.labels.iter();
        Ok(Self {
            id: new.id,
            id_text: new.id.to_string(),
            spec: to_json(&new.spec)?,
            has_prompts: matches!(&new.spec.prompts, Prompts::Texts(texts) if !texts.is_empty())
                || !new.spec.prompt_lines.is_empty(),
            model_name: new.spec.model_name.clone(),
            engine: new.spec.engine.clone(),
            warnings: to_json(&new.warnings)?,
            labels: labels.map(|(label, value)| (label.clone(), value.clone())).collect(),
            queue: QueueColumns::from_spec(&new.spec)?,
            created_at_us: to_us(new.created_at),
            arrival: new.arrival.clone(),
            entry: AuditEntry::new(Action::Submit, new.id, &new.submitted_by, new.created_at),
            callback: new.callback.clone(),
            key,
            quota,
        })
    }

    /// Returns the authenticated name of the submitter; `None` without authentication.
    pub fn submitter(&self) -> Option<&str> {
        self.entry.name.as_deref()
    }

    /// Returns the size of the submission in bytes, as it counts towards the quota.
    pub fn stored_bytes(&self) -> u64 {
        self.spec.len() as u64
    }
}
