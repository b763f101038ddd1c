use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use joulemark_experiment::access::KeyId;
use joulemark_store::Store;

/// How long a key's use is kept here before it is written: one write for all requests of the time.
const INTERVAL: Duration = Duration::from_secs(30);

/// When keys were used last, gathered so that a request costs no write.
#[derive(Debug, Default)]
pub struct LastUsed {
    pending: Mutex<HashMap<KeyId, Timestamp>>,
}

impl LastUsed {
    pub fn note(&self, id: &KeyId, now: Timestamp) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.insert(id.clone(), now);
    }

    /// Writes from time to time until `leaving`.
    pub async fn keep(&self, store: &Store, leaving: &CancellationToken) {
        while !leaving.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => self.write(store).await,
                () = leaving.cancelled() => {}
            }
        }
    }

    /// Writes what has gathered. What cannot be written waits for the next time: it is nothing to fail for.
    pub async fn write(&self, store: &Store) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.is_empty() {
            return;
        }
        let used: Vec<_> = pending.into_iter().collect();
        if let Err(error) = store.note_key_use(&used).await {
            tracing::warn!(%error, "when keys were used last is written later");
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            for (id, at) in used {
                pending.entry(id).or_insert(at);
            }
        }
    }
}
