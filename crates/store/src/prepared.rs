//! Submissions made ready for the writer, and what becomes of them.

use jiff::Timestamp;

use super::StoreError;
use super::queue_columns::QueueColumns;
use super::record::{NewCallback, NewExperiment, to_json, to_us};
use joulemark_experiment::access::{Action, AuditEntry};
use joulemark_experiment::{Arrival, ExperimentId, Prompts};

/// What a client names a submission by, so that sending it again does not queue it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// Of the submission's content: the same key with another one is a mistake.
    pub body_sha256: String,
    /// From then on the key is free again.
    pub expires_at: Timestamp,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    Stored,
    /// Its key and content came before, and queued this experiment.
    Repeated(ExperimentId),
    /// Its key came before, with another content.
    KeyTaken,
    /// As many wait as may.
    QueueFull,
    /// As many of its submitter's wait or run as may.
    QuotaUsedUp,
    /// With it, its submitter would have more bytes stored than may be.
    TooMuchStored {
        used_bytes: u64,
    },
}

/// What a submission must find room in; none is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Most experiments that wait, of everybody.
    pub queued: Option<u64>,
    /// Most that wait or run, of its submitter.
    pub unfinished_of_submitter: Option<u64>,
    /// Most bytes that all of its submitter's take, this one among them.
    pub stored_bytes_of_submitter: Option<u64>,
}

/// A submission as the rows that it becomes.
#[derive(Debug)]
pub struct Prepared {
    pub id: ExperimentId,
    pub(super) id_text: String,
    pub(super) spec: String,
    /// Whether texts of its own stand in the spec.
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

    pub fn submitter(&self) -> Option<&str> {
        self.entry.name.as_deref()
    }

    /// Returns the bytes that are counted as its submitter's.
    pub fn stored_bytes(&self) -> u64 {
        self.spec.len() as u64
    }
}
