//! Deletes data that exceeds the retention limits.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use joulemark_measurement::clock;
use joulemark_store::{Dropped, Retention, Store, StoreError};

/// Period at which retention is applied. Raw data grows by megabytes an hour.
const PERIOD: Duration = Duration::from_secs(600);
const HOURS_A_DAY: i64 = 24;

/// Retention limits; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Maximum age of raw data in days.
    pub days: Option<u32>,
    /// Maximum size of raw data in bytes.
    pub bytes: Option<u64>,
    pub prompt_days: Option<u32>,
    pub event_days: Option<u32>,
    pub audit_days: Option<u32>,
}

/// Numbers of deleted items of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub raw: Dropped,
    /// Experiments whose prompts were deleted.
    pub prompts: u64,
    pub transitions: u64,
    pub audit_entries: u64,
    pub idempotency_keys: u64,
    /// Expired sessions of the web pages.
    pub sessions: u64,
}

impl fmt::Display for Pruned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dropped { experiments, bytes } = self.raw;
        write!(
            formatter,
            "dropped the raw data of {experiments} experiments, {bytes} bytes; the prompts of {}; {} changes of state, {} \
             entries of the audit log, {} idempotency keys and {} expired sessions",
            self.prompts, self.transitions, self.audit_entries, self.idempotency_keys, self.sessions
        )
    }
}

impl RetentionPolicy {
    /// Deletes what exceeds the limits at `now`, expired idempotency keys and expired sessions.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn apply(self, store: &Store, now: Timestamp) -> Result<Pruned, StoreError> {
        let before = |days: Option<u32>| {
            let age = SignedDuration::from_hours(HOURS_A_DAY * i64::from(days?));
            now.checked_sub(age).ok()
        };
        let mut pruned = Pruned {
            idempotency_keys: store.drop_expired_keys(now).await?,
            sessions: store.drop_expired_sessions(now).await?,
            ..Pruned::default()
        };
        if let Some(not_before) = before(self.prompt_days) {
            pruned.prompts = store.drop_prompts(not_before, now).await?;
        }
        if let Some(not_before) = before(self.event_days) {
            pruned.transitions = store.drop_transitions(not_before).await?;
        }
        if let Some(not_before) = before(self.audit_days) {
            pruned.audit_entries = store.drop_audit_entries(not_before).await?;
        }
        let retention = Retention {
            not_before: before(self.days),
            max_bytes: self.bytes,
        };
        pruned.raw = store.drop_raw_data(retention, now).await?;
        Ok(pruned)
    }

    /// Applies the policy now and every ten minutes until the server stops.
    pub async fn keep(self, store: Store, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match self.apply(&store, clock::wall_now()).await {
                Ok(pruned) if pruned == Pruned::default() => {}
                Ok(pruned) => tracing::info!("{pruned} (retention)"),
                Err(error) => tracing::warn!(%error, "retention failed; trying again later"),
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}
