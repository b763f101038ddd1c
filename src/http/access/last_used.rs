//! The times at which keys were last used, written to the database in batches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use joulemark_experiment::access::KeyId;
use joulemark_store::Store;

/// Interval between two writes to the database.
const INTERVAL: Duration = Duration::from_secs(30);

/// The time of last use of each key, collected in memory so that a request costs no write.
#[derive(Debug, Default)]
pub struct LastUsed {
    pending: Mutex<HashMap<KeyId, Timestamp>>,
}

impl LastUsed {
    /// Records that a key was used.
    pub fn note(&self, id: &KeyId, now: Timestamp) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.insert(id.clone(), now);
    }

    /// Writes the collected times once per interval, until `leaving` is cancelled.
    pub async fn keep(&self, store: &Store, leaving: &CancellationToken) {
        while !leaving.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => self.write(store).await,
                () = leaving.cancelled() => {}
            }
        }
    }

    /// Writes the collected times. If the database fails they stay for the next write.
    pub async fn write(&self, store: &Store) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            return;
        }
        let used: Vec<_> = pending.into_iter().collect();
        if let Err(error) = store.note_key_use(&used).await {
            tracing::warn!(%error, "the times at which keys were last used cannot be written now; they will be written later");
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, at) in used {
                pending.entry(id).or_insert(at);
            }
        }
    }
}
