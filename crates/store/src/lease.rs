//! Who runs what, and until when that is believed. A lease is renewed by its holder and times out by the database's
//! clock alone, so that the hosts' clocks may differ; what it guards is fenced by the attempt, so that even a clock that
//! jumps can only have an experiment run again, never recorded twice.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::hour::hour_of;
use super::record::{attempt as attempt_of, id as id_of, to_us};
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, State};

/// Who takes an experiment, and what it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<'a> {
    /// The server's incarnation.
    pub holder: &'a str,
    pub node_name: &'a str,
    /// UUIDs of the GPUs leased.
    pub gpus: &'a [String],
    /// Devices leased in all: what its user's share counts.
    pub device_count: u32,
    /// How long the claim holds without being renewed.
    pub lease: Duration,
}

/// An experiment that a server holds according to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: ExperimentId,
    pub attempt: u32,
    pub is_cancel_requested: bool,
}

pub fn to_held(row: &AnyRow) -> Result<Held, StoreError> {
    let is_cancel_requested: i64 = row.try_get("is_cancel_requested")?;
    Ok(Held {
        id: id_of(row, "experiment_id")?,
        attempt: attempt_of(row)?,
        is_cancel_requested: is_cancel_requested != 0,
    })
}

pub fn in_us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Store {
    /// What `holder` holds, and for which of these cancellation was asked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held(&self, holder: &str) -> Result<Vec<Held>, StoreError> {
        let text = "SELECT experiment_id, attempt, is_cancel_requested FROM leases WHERE holder = $1";
        let rows = sqlx::query(text).bind(holder).fetch_all(&self.own).await?;
        rows.iter().map(to_held).collect()
    }

    /// What runs, with its node, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn running_by_node(&self) -> Result<Vec<(String, ExperimentId)>, StoreError> {
        let text = "SELECT node_name, experiment_id FROM leases ORDER BY experiment_id";
        let rows = sqlx::query(text).fetch_all(&self.own).await?;
        let one = |row: &AnyRow| Ok((row.try_get("node_name")?, id_of(row, "experiment_id")?));
        rows.iter().map(one).collect()
    }
}

/// Beside the claim, in its transaction.
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

/// Beside the move to `to`, in its transaction.
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
    // What goes back to the queue was not the user's doing.
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
