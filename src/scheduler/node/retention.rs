use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use joulemark_measurement::clock;
use joulemark_store::{Dropped, Retention, Store, StoreError};

/// Raw data grows by megabytes an hour.
const PERIOD: Duration = Duration::from_secs(600);
const HOURS_A_DAY: i64 = 24;

/// How long and how much raw data is kept; none is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub days: Option<u32>,
    pub bytes: Option<u64>,
}

impl RetentionPolicy {
    /// Drops what is beyond the bounds at `now`, and idempotency keys that are free again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn apply(self, store: &Store, now: Timestamp) -> Result<Dropped, StoreError> {
        store.drop_expired_keys(now).await?;
        let retention = Retention {
            not_before: self.days.and_then(|days| {
                let age = SignedDuration::from_hours(HOURS_A_DAY * i64::from(days));
                now.checked_sub(age).ok()
            }),
            max_bytes: self.bytes,
        };
        store.drop_raw_data(retention, now).await
    }

    /// Applies itself now and every ten minutes, until the server stops.
    pub async fn keep(self, store: Store, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match self.apply(&store, clock::wall_now()).await {
                Ok(dropped) if dropped == Dropped::default() => {}
                Ok(Dropped { experiments, bytes }) => {
                    tracing::info!(
                        experiments,
                        bytes,
                        "raw data dropped, as retention_days and retention_bytes say"
                    );
                }
                Err(error) => tracing::warn!(%error, "retention is put off"),
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stopping.cancelled() => {}
            }
        }
    }
}
