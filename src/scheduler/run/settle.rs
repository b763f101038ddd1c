use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use joulemark_measurement::Backoff;
use joulemark_store::{Ending, Spool, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// A database that does not answer within this is away.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Tries of a server that is to stop, when neither database nor spool takes the end of a run.
const LAST_TRIES: u32 = 5;

/// Where the end of an attempt is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Stored,
    /// On disk, for the next server to store.
    Spooled,
}

/// Where the end of an attempt may be.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    pub store: &'a Store,
    pub spool: Option<&'a Spool>,
    /// How many are in neither.
    pub in_memory: &'a Gauge,
}

/// Counts an end as in memory alone for as long as it lives.
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

/// Stores how an attempt ended, however long the database is away. Meanwhile the end waits on disk, so that it outlives
/// this server too. The run stays listed, which keeps its lease.
///
/// # Errors
/// Returns what another try would not mend; or, of a server that stops, that neither database nor disk took it.
pub async fn settle(
    ending: Ending,
    places: Places<'_>,
    server_stopping: &CancellationToken,
) -> Result<Settled, StoreError> {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let Places {
        store,
        spool,
        in_memory,
    } = places;
    let (mut is_spooled, mut last_tries) = (false, 0);
    let mut alarm = None;
    loop {
        let outcome = tokio::time::timeout(PATIENCE, store.settle(&ending)).await;
        let refused = match outcome {
            Ok(Err(error)) if error.is_retryable() => Some(error),
            Err(_) => None,
            Ok(outcome) => {
                if let Some(spool) = spool.filter(|_| is_spooled) {
                    forget(spool.clone(), ending).await;
                }
                return outcome.map(|()| Settled::Stored);
            }
        };
        let reason = refused
            .as_ref()
            .map_or_else(|| "it does not answer".to_owned(), StoreError::to_string);
        tracing::warn!(experiment = %ending.id, "its end waits for the database: {reason}");
        is_spooled = is_spooled || keep(spool.cloned(), &ending).await;
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

/// Keeps the end on disk; returns whether it is there.
async fn keep(spool: Option<Spool>, ending: &Ending) -> bool {
    let Some(spool) = spool else {
        return false;
    };
    let (id, ending) = (ending.id, ending.clone());
    match tokio::task::spawn_blocking(move || spool.keep(&ending)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(experiment = %id, %error, "its end is in memory only: the spool does not take it either");
            false
        }
        Err(_) => false,
    }
}

async fn forget(spool: Spool, ending: Ending) {
    let id = ending.id;
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || spool.forget(&ending)).await {
        tracing::warn!(experiment = %id, %error, "its end is stored, and stays in the spool as well");
    }
}
