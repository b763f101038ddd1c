use jiff::Timestamp;

use super::record::{attempt, from_us, state};
use super::{Record, Store, StoreError};
use joulemark_experiment::{ExperimentId, State};
use sqlx::Row as _;

/// The fields that identify a version of an experiment, without its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub state: State,
    pub attempt: u32,
    pub updated_at: Timestamp,
    /// Authenticated name of the submitter, who may see the prompts.
    pub submitter: Option<String>,
}

impl From<&Record> for Version {
    fn from(record: &Record) -> Self {
        Self {
            state: record.state,
            attempt: record.attempt,
            updated_at: record.updated_at,
            submitter: record.submitter.clone(),
        }
    }
}

impl Store {
    /// Returns the present version of an experiment; `None` for an unknown id.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn version(&self, id: ExperimentId) -> Result<Option<Version>, StoreError> {
        let text = "SELECT state, attempt, updated_at_us, submitter FROM experiments WHERE id = $1";
        let row = sqlx::query(text)
            .bind(id.to_string())
            .fetch_optional(&self.reads)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Version {
            state: state(&row)?,
            attempt: attempt(&row)?,
            updated_at: from_us(row.try_get("updated_at_us")?)?,
            submitter: row.try_get("submitter")?,
        }))
    }
}
