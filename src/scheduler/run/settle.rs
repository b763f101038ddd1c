use std::time::Duration;

use super::observations::timeseries;
use joulemark_experiment::Spec;
use joulemark_measurement::{Backoff, clock::Monotonic};
use joulemark_meter::HostMeter;
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

/// What the end of an attempt is stored with, and where.
pub struct Settling<'a> {
    pub store: &'a Store,
    pub spool: Option<&'a Spool>,
    pub meter: &'a HostMeter,
    pub spec: &'a Spec,
    pub claimed_at: Monotonic,
    pub server_stopping: &'a CancellationToken,
}

impl Settling<'_> {
    /// Stores how the attempt ended, with its devices over time, however long the database is away. Meanwhile the end
    /// waits on disk, so that it outlives this server too. The run stays listed, which keeps its lease.
    ///
    /// # Errors
    /// What another try would not mend; or, of a server that stops, that neither database nor disk took it.
    pub async fn settle(&self, ending: Ending) -> Result<Settled, StoreError> {
        let series = timeseries(self.meter, self.spec, self.claimed_at).await;
        let ending = ending.with_timeseries(&series)?;
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let (mut is_spooled, mut last_tries) = (false, 0);
        loop {
            let outcome = tokio::time::timeout(PATIENCE, self.store.settle(&ending)).await;
            let refused = match outcome {
                Ok(Err(error)) if error.is_retryable() => Some(error),
                Err(_) => None,
                Ok(outcome) => {
                    if is_spooled {
                        self.forget(&ending).await;
                    }
                    return outcome.map(|()| Settled::Stored);
                }
            };
            let reason = refused
                .as_ref()
                .map_or_else(|| "it does not answer".to_owned(), StoreError::to_string);
            tracing::warn!(experiment = %ending.id, "its end waits for the database: {reason}");
            is_spooled = is_spooled || self.spool(&ending).await;
            if self.server_stopping.is_cancelled() {
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
                () = self.server_stopping.cancelled(), if is_spooled => {}
            }
        }
    }

    async fn spool(&self, ending: &Ending) -> bool {
        let Some(spool) = self.spool.cloned() else {
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

    async fn forget(&self, ending: &Ending) {
        let Some(spool) = self.spool.cloned() else {
            return;
        };
        let (id, ending) = (ending.id, ending.clone());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || spool.forget(&ending)).await {
            tracing::warn!(experiment = %id, %error, "its end is stored, and stays in the spool as well");
        }
    }
}
