//! Stores the end of an attempt, in the database or meanwhile on disk.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use joulemark_measurement::Backoff;
use joulemark_store::{Ending, Spool, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// Timeout of one write to the database.
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Maximum number of tries while the server stops, when neither database nor spool accepts the end of a run.
const LAST_TRIES: u32 = 5;

/// Place where the end of an attempt is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Stored,
    /// On disk; the next server stores it in the database.
    Spooled,
}

/// Places where the end of an attempt can be stored.
#[derive(Clone, Copy, Debug)]
pub struct Destinations<'a> {
    pub store: &'a Store,
    pub spool: Option<&'a Spool>,
    /// Number of ends that are in neither.
    pub in_memory: &'a Gauge,
}

/// Guard that counts an end in the gauge while it is only in memory.
struct InMemory<'a>(&'a Gauge);

impl<'a> InMemory<'a> {
    fn count(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InMemory<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Stores how an attempt ended, however long the database is unreachable. Meanwhile the end is kept on disk, to survive
/// this server too, and the run stays listed, which renews its lease.
///
/// # Errors
/// Returns an error that another try would not solve. While the server stops, also returns the error when neither
/// database nor disk accepts the end.
pub async fn settle(
    ending: Ending,
    destinations: Destinations<'_>,
    server_stopping: &CancellationToken,
) -> Result<Settled, StoreError> {
    let mut backoff = Backoff::new(FIRST_PAUSE, MAX_PAUSE);
    let Destinations {
        store,
        spool,
        in_memory,
    } = destinations;
    let (mut is_spooled, mut last_tries) = (false, 0);
    let mut alarm = None;
    loop {
        let outcome = tokio::time::timeout(TIMEOUT, store.settle(&ending)).await;
        let refused = match outcome {
            Ok(Err(error)) if error.is_retryable() => Some(error),
            Err(_) => None,
            Ok(outcome) => {
                if let Some(spool) = spool.filter(|_| is_spooled) {
                    remove_from_spool(spool.clone(), ending).await;
                }
                return outcome.map(|()| Settled::Stored);
            }
        };
        let reason = refused
            .as_ref()
            .map_or_else(|| "it does not answer".to_owned(), StoreError::to_string);
        tracing::warn!(experiment = %ending.id, "the end of the experiment waits for the database: {reason}");
        is_spooled = is_spooled || write_to_spool(spool.cloned(), &ending).await;
        alarm = match is_spooled {
            true => None,
            false => alarm.or_else(|| Some(InMemory::count(in_memory))),
        };
        if server_stopping.is_cancelled() {
            if is_spooled {
                return Ok(Settled::Spooled);
            }
            last_tries += 1;
            if let Some(error) = refused.filter(|_| last_tries > LAST_TRIES) {
                return Err(error);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_pause()) => {}
            () = server_stopping.cancelled(), if is_spooled => {}
        }
    }
}

/// Writes the end to disk. Returns whether that succeeded.
async fn write_to_spool(spool: Option<Spool>, ending: &Ending) -> bool {
    let Some(spool) = spool else {
        return false;
    };
    let (id, ending) = (ending.id, ending.clone());
    match tokio::task::spawn_blocking(move || spool.keep(&ending)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(experiment = %id, %error, "the end of the experiment is only in memory: the spool cannot be written");
            false
        }
        Err(_) => false,
    }
}

async fn remove_from_spool(spool: Spool, ending: Ending) {
    let id = ending.id;
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || spool.forget(&ending)).await {
        tracing::warn!(experiment = %id, %error, "the end of the experiment is stored, but cannot be removed from the spool");
    }
}
