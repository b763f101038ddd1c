//! What the queue is read by, of an experiment that is on its way into it.

use sha2::{Digest, Sha256};

use super::StoreError;
use super::record::to_json;
use joulemark_experiment::Spec;

/// The columns of a new experiment that the queue is read by.
#[derive(Debug)]
pub struct QueueColumns {
    pub lane: String,
    pub requirements: String,
    pub user_name: String,
    pub priority: i64,
}

impl QueueColumns {
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

/// Stands before the experiment in the same transaction, so that no lane is ever unknown.
pub const INSERT_LANE: &str = "INSERT INTO lanes (lane, needs) VALUES ($1, $2) ON CONFLICT (lane) DO NOTHING";
