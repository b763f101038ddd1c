//! The columns by which the queue is read.

use sha2::{Digest, Sha256};

use super::StoreError;
use super::record::to_json;
use joulemark_experiment::Spec;

/// The values of a new experiment in the columns by which the queue is read.
#[derive(Debug)]
pub struct QueueColumns {
    /// Hex SHA-256 of `requirements`.
    pub lane: String,
    /// The requirements as JSON.
    pub requirements: String,
    /// Empty for a submission without a user.
    pub user_name: String,
    pub priority: i64,
}

impl QueueColumns {
    /// Derives the values from a spec.
    ///
    /// # Errors
    /// Returns an error when the requirements cannot be written as JSON.
    pub fn from_spec(spec: &Spec) -> Result<Self, StoreError> {
        let requirements = to_json(&spec.requirements())?;
        let digest = Sha256::digest(requirements.as_bytes());
        Ok(Self {
            lane: hex::encode(digest),
            requirements,
            user_name: spec.user.clone().unwrap_or_default(),
            priority: i64::from(spec.priority),
        })
    }
}

/// Runs before the experiment is inserted, in the same transaction, so that each lane in use has a row.
pub const INSERT_LANE: &str = "INSERT INTO lanes (lane, needs) VALUES ($1, $2) ON CONFLICT (lane) DO NOTHING";
