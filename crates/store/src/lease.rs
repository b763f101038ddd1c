//! Leases: which server runs which experiment, and until when. The holder renews its leases; they expire by the
//! database's clock alone, so that the clocks of the hosts may differ. Every write of an attempt is fenced by the
//! attempt number: a clock that jumps can make an experiment run again, but its result is stored once.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::hour::hour_of;
use super::record::{attempt as attempt_of, id as id_of, to_us};
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, State};

/// The server that claims an experiment, and the devices that it reserves.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<'a> {
    /// Incarnation of the server.
    pub holder: &'a str,
    pub node_name: &'a str,
    /// UUIDs of the GPUs reserved.
    pub gpus: &'a [String],
    /// Number of devices reserved in total; counts towards the user's fair share.
    pub device_count: u32,
    /// Time after which the lease expires unless it is renewed.
    pub lease: Duration,
}

/// An experiment that a server holds according to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: ExperimentId,
    pub attempt: u32,
    pub is_cancel_requested: bool,
}

/// Reads a row of the table `leases`.
pub fn to_held(row: &AnyRow) -> Result<Held, StoreError> {
    let is_cancel_requested: i64 = row.try_get("is_cancel_requested")?;
    Ok(Held {
        id: id_of(row, "experiment_id")?,
        attempt: attempt_of(row)?,
        is_cancel_requested: is_cancel_requested != 0,
    })
}

/// Converts a duration to whole microseconds.
pub fn in_us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Store {
    /// Returns the experiments that `holder` holds.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn held(&self, holder: &str) -> Result<Vec<Held>, StoreError> {
        let text = "SELECT experiment_id, attempt, is_cancel_requested FROM leases WHERE holder = $1";
        let rows = sqlx::query(text).bind(holder).fetch_all(&self.internal).await?;
        rows.iter().map(to_held).collect()
    }

    /// Returns each running experiment with the name of its node, oldest experiment first.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn running_by_node(&self) -> Result<Vec<(String, ExperimentId)>, StoreError> {
        let text = "SELECT node_name, experiment_id FROM leases ORDER BY experiment_id";
        let rows = sqlx::query(text).fetch_all(&self.internal).await?;
        let one = |row: &AnyRow| Ok((row.try_get("node_name")?, id_of(row, "experiment_id")?));
        rows.iter().map(one).collect()
    }
}

/// Inserts the lease of a claimed experiment, in the transaction of the claim.
pub async fn grant(
    transaction: &mut Transaction<'static, Any>,
    (id, attempt): (ExperimentId, u32),
    claim: &Claim<'_>,
    user: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO leases \
         (experiment_id, attempt, holder, node_name, user_name, device_count, claimed_at_us, lease_until_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, (SELECT now_us FROM database_clock) + $8)",
    )
    .bind(id.to_string())
    .bind(i64::from(attempt))
    .bind(claim.holder)
    .bind(claim.node_name)
    .bind(user)
    .bind(i64::from(claim.device_count))
    .bind(to_us(now))
    .bind(in_us(claim.lease))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Deletes the lease of an experiment, in the transaction that moves it to `to`. A final state adds the device time to
/// the account of its user.
pub async fn give_back(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    to: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = "DELETE FROM leases WHERE experiment_id = $1 RETURNING user_name, device_count, claimed_at_us";
    let rows = sqlx::query(text)
        .bind(id.to_string())
        .fetch_all(&mut **transaction)
        .await?;
    // An interrupted attempt is not charged to the user.
    let Some(row) = rows.first().filter(|_| to.is_finished()) else {
        return Ok(());
    };
    let user: String = row.try_get("user_name")?;
    let (device_count, claimed_at_us): (i64, i64) = (row.try_get("device_count")?, row.try_get("claimed_at_us")?);
    sqlx::query(
        "INSERT INTO device_time (user_name, hour, device_us, attempts) VALUES ($1, $2, $3, 1) \
         ON CONFLICT (user_name, hour) DO UPDATE SET device_us = device_time.device_us + excluded.device_us, \
         attempts = device_time.attempts + 1",
    )
    .bind(user)
    .bind(hour_of(now))
    .bind(device_count.saturating_mul((to_us(now) - claimed_at_us).max(0)))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
