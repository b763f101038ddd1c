use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{AnyPool, Row};

use super::StoreError;
use super::record::from_json;
use joulemark_experiment::Requirements;

/// A cache of the requirements of each lane in use. A lane is named by the digest of its requirements, so an entry
/// never becomes stale. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Lanes(Arc<Mutex<HashMap<String, Known>>>);

/// The requirements of a lane; `None` when they cannot be read back, so that one damaged lane does not block the
/// others.
type Known = Option<Arc<Requirements>>;

impl Lanes {
    /// Returns the locked map of cached lanes.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requirements of a lane from the cache or the database; `None` when it is unknown or cannot be read
    /// back.
    pub async fn requirements(&self, lane: &str, reads: &AnyPool) -> Result<Known, StoreError> {
        if let Some(known) = self.known().get(lane) {
            return Ok(known.clone());
        }
        let text = "SELECT needs FROM lanes WHERE lane = $1";
        let Some(row) = sqlx::query(text).bind(lane).fetch_optional(reads).await? else {
            return Ok(None);
        };
        let requirements = match from_json("the requirements of a lane", row.try_get("needs")?) {
            Ok(requirements) => Some(Arc::new(requirements)),
            Err(error) => {
                tracing::error!(%error, "experiments of a lane cannot be started and stay in the queue");
                None
            }
        };
        self.known().insert(lane.to_owned(), requirements.clone());
        Ok(requirements)
    }

    /// Removes all lanes that are not in `in_use` from the cache.
    pub fn retain(&self, in_use: &HashMap<&str, Known>) {
        self.known().retain(|lane, _| in_use.contains_key(lane.as_str()));
    }
}
