use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AnyPool, Row};

use super::StoreError;
use super::record::from_json;
use joulemark_experiment::Requirements;

/// What the lanes in use need. A lane is the digest of what it needs, so that what was read once stays true.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Arc<Mutex<HashMap<String, Known>>>);

/// None where it cannot be read back: it must not stand in the way of all others.
type Known = Option<Arc<Requirements>>;

impl Lanes {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn requirements(&self, lane: &str, reads: &AnyPool) -> Result<Known, StoreError> {
        if let Some(known) = self.known().get(lane) {
            return Ok(known.clone());
        }
        let text = "SELECT needs FROM lanes WHERE lane = $1";
        let Some(row) = sqlx::query(text).bind(lane).fetch_optional(reads).await? else {
            return Ok(None);
        };
        let requirements = match from_json("what a lane needs", row.try_get("needs")?) {
            Ok(requirements) => Some(Arc::new(requirements)),
            Err(error) => {
                tracing::error!(%error, "left in the queue");
                None
            }
        };
        self.known().insert(lane.to_owned(), requirements.clone());
        Ok(requirements)
    }

    /// Forgets all but these, which alone are in use.
    pub fn keep(&self, in_use: &HashMap<&str, Known>) {
        self.known().retain(|lane, _| in_use.contains_key(lane.as_str()));
    }
}
