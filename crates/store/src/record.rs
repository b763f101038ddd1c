use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::StoreError;
use joulemark_experiment::access::Actor;
use joulemark_experiment::{Arrival, DroppedPrompts, ExperimentId, Failure, Spec, State, Warning};
use joulemark_measurement::quoted;

/// The callback of a new experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCallback {
    pub delivery_id: Uuid,
    pub url: String,
    /// Host and port of the URL, normalised for comparison.
    pub host: String,
    /// Beginning of the links in the payload, up to the path, as the submitter reaches this service.
    pub link_base: String,
}

/// An experiment to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewExperiment {
    pub id: ExperimentId,
    pub spec: Spec,
    /// Warnings that were given at submission.
    pub warnings: Vec<Warning>,
    pub created_at: Timestamp,
    /// The submitter; also written to the audit log.
    pub submitted_by: Actor,
    pub callback: Option<NewCallback>,
    pub arrival: Arrival,
}

/// An experiment as stored, without its results. Times have a resolution of one microsecond. The spec contains the
/// present labels and, once GPUs are reserved, those GPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub id: ExperimentId,
    pub spec: Spec,
    pub state: State,
    /// Number of times that it was claimed.
    pub attempt: u32,
    /// Node of the present or last attempt; `None` while it is queued.
    pub node_name: Option<String>,
    pub warnings: Vec<Warning>,
    pub created_at: Timestamp,
    /// Time at which the present or last attempt was claimed.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    pub failure: Option<Failure>,
    /// Authenticated name of the submitter; `None` on a server without authentication.
    pub submitter: Option<String>,
    pub arrival: Arrival,
    /// Description of the prompts that retention dropped; the spec then contains none.
    pub dropped_prompts: Option<DroppedPrompts>,
}

/// Selects the columns that [`record`] reads, from a table called `e`. `Dialect::claim` has the same columns.
macro_rules! select_records {
    ($rest:literal) => {
        concat!(
            "SELECT e.id, e.spec, e.state, e.attempt, e.warnings, e.failure, e.created_at_us, e.started_at_us, ",
            "e.finished_at_us, e.updated_at_us, e.node_name, e.gpus, e.labels, e.submitter, e.request_id, e.traceparent, ",
            "e.dropped_prompts FROM ",
            $rest
        )
    };
}
pub(super) use select_records;

/// Reads an experiment, and returns it with the size of its documents in bytes.
pub fn record(row: &AnyRow) -> Result<(Record, usize), StoreError> {
    let id = id(row, "id")?;
    let spec: &str = row.try_get("spec")?;
    let warnings: &str = row.try_get("warnings")?;
    let failure: Option<&str> = row.try_get("failure")?;
    let bytes = spec.len() + warnings.len() + failure.map_or(0, str::len);
    let mut spec: Spec = from_json(&format!("the spec of experiment {id}"), spec)?;
    if let Some(gpus) = row.try_get::<Option<String>, _>("gpus")? {
        spec.gpus = from_json(&format!("the GPUs of experiment {id}"), &gpus)?;
    }
    if let Some(labels) = row.try_get::<Option<String>, _>("labels")? {
        spec.labels = from_json(&format!("the labels of experiment {id}"), &labels)?;
    }
    let record = Record {
        id,
        spec,
        state: state(row)?,
        attempt: attempt(row)?,
        node_name: row.try_get("node_name")?,
        warnings: from_json(&format!("the warnings of experiment {id}"), warnings)?,
        created_at: from_us(row.try_get("created_at_us")?)?,
        started_at: row
            .try_get::<Option<i64>, _>("started_at_us")?
            .map(from_us)
            .transpose()?,
        finished_at: row
            .try_get::<Option<i64>, _>("finished_at_us")?
            .map(from_us)
            .transpose()?,
        updated_at: from_us(row.try_get("updated_at_us")?)?,
        failure: failure
            .map(|json| from_json(&format!("the failure of experiment {id}"), json))
            .transpose()?,
        submitter: row.try_get("submitter")?,
        arrival: Arrival {
            request_id: row.try_get("request_id")?,
            traceparent: row.try_get("traceparent")?,
        },
        dropped_prompts: row
            .try_get::<Option<&str>, _>("dropped_prompts")?
            .map(|json| from_json(&format!("the dropped prompts of experiment {id}"), json))
            .transpose()?,
    };
    Ok((record, bytes))
}

/// Reads an experiment's id from a column.
pub fn id(row: &AnyRow, column: &str) -> Result<ExperimentId, StoreError> {
    let text: &str = row.try_get(column)?;
    text.parse()
        .map_err(|reason| StoreError::corrupt(format!("the id {text}", text = quoted(&text)), reason))
}

/// Reads the column `state`.
pub fn state(row: &AnyRow) -> Result<State, StoreError> {
    let text: &str = row.try_get("state")?;
    text.parse().map_err(|reason| StoreError::corrupt("a state", reason))
}

/// Reads the column `attempt`.
pub fn attempt(row: &AnyRow) -> Result<u32, StoreError> {
    let attempt: i64 = row.try_get("attempt")?;
    attempt
        .try_into()
        .map_err(|reason| StoreError::corrupt("an attempt", reason))
}

/// Converts a time to microseconds since 1970.
pub fn to_us(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// Converts microseconds since 1970 to a time.
pub fn from_us(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(|reason| StoreError::corrupt("a time", reason))
}

/// Serialises a document.
pub fn to_json(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|reason| StoreError::corrupt("a document to be stored", reason))
}

/// Deserialises a document; `what` names it in the error.
pub fn from_json<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|reason| StoreError::corrupt(what, reason))
}
