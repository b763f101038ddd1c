//! The servers that share the database: their names, what each offers, and their heartbeats.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::lease::{Held, in_us, to_held};
use super::record::{from_json, from_us, to_json};
use super::transaction::commit;
use super::{Store, StoreError};
use joulemark_experiment::Capabilities;

/// The values with which a server registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration<'a> {
    pub name: &'a str,
    /// Identifies this start of the server; a restart has another.
    pub incarnation: &'a str,
    /// Identifies the lock that the server holds for its name. A server with the same seat knows that its predecessor
    /// is dead.
    pub seat: &'a str,
    pub capabilities: &'a Capabilities,
    /// Time after which the server counts as dead unless it sends a heartbeat.
    pub lease: Duration,
}

/// The result of a registration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Registered {
    /// The server is registered.
    Done,
    /// Another server has the name, and its lease lasts for another `for_sec` seconds.
    Taken { for_sec: f64 },
}

/// A server as stored in the database.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRecord {
    pub name: String,
    pub incarnation: String,
    pub capabilities: Capabilities,
    /// Whether its lease has not expired.
    pub is_live: bool,
    pub registered_at: Timestamp,
    pub heartbeat_at: Timestamp,
}

const NOW: &str = "SELECT now_us FROM database_clock";

impl Store {
    /// Registers a server under its name, unless a live server with another incarnation and seat has the name.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn register(&self, registration: &Registration<'_>) -> Result<Registered, StoreError> {
        let mut transaction = self.begin().await?;
        let there = sqlx::query(self.dialect.lock_node())
            .bind(registration.name)
            .fetch_optional(&mut *transaction)
            .await?;
        let now_us: i64 = sqlx::query(NOW).fetch_one(&mut *transaction).await?.try_get("now_us")?;
        if let Some(row) = there {
            let (incarnation, seat): (&str, &str) = (row.try_get("incarnation")?, row.try_get("seat")?);
            let alive_until_us: i64 = row.try_get("alive_until_us")?;
            if incarnation != registration.incarnation && seat != registration.seat && alive_until_us > now_us {
                let for_sec = Duration::from_micros((alive_until_us - now_us).unsigned_abs()).as_secs_f64();
                return Ok(Registered::Taken { for_sec });
            }
        }
        sqlx::query(
            "INSERT INTO nodes (name, incarnation, seat, offer, registered_at_us, heartbeat_at_us, alive_until_us, engines) \
             VALUES ($1, $2, $3, $4, $5, $5, $6, $7) ON CONFLICT (name) DO UPDATE SET \
             incarnation = excluded.incarnation, seat = excluded.seat, offer = excluded.offer, \
             registered_at_us = excluded.registered_at_us, heartbeat_at_us = excluded.heartbeat_at_us, \
             alive_until_us = excluded.alive_until_us, engines = excluded.engines",
        )
        .bind(registration.name)
        .bind(registration.incarnation)
        .bind(registration.seat)
        .bind(to_json(registration.capabilities)?)
        .bind(now_us)
        .bind(now_us + in_us(registration.lease))
        .bind(to_json(&registration.capabilities.engines)?)
        .execute(&mut *transaction)
        .await?;
        commit(transaction).await?;
        Ok(Registered::Done)
    }

    /// Records a heartbeat: renews the node and every lease of `incarnation`, including leases that have expired but
    /// were not taken. Returns the experiments that it holds; `None`, without renewing anything, when the name belongs
    /// to another incarnation or was removed.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn beat(
        &self,
        name: &str,
        incarnation: &str,
        capabilities: &Capabilities,
        lease: Duration,
    ) -> Result<Option<Vec<Held>>, StoreError> {
        let mut transaction = self.begin().await?;
        let renewed = sqlx::query(
            "UPDATE nodes SET heartbeat_at_us = (SELECT now_us FROM database_clock), \
             alive_until_us = (SELECT now_us FROM database_clock) + $3, offer = $4, engines = $5 \
             WHERE name = $1 AND incarnation = $2",
        )
        .bind(name)
        .bind(incarnation)
        .bind(in_us(lease))
        .bind(to_json(capabilities)?)
        .bind(to_json(&capabilities.engines)?)
        .execute(&mut *transaction)
        .await?;
        if renewed.rows_affected() == 0 {
            return Ok(None);
        }
        let rows = sqlx::query(
            "UPDATE leases SET lease_until_us = (SELECT now_us FROM database_clock) + $2 WHERE holder = $1 \
             RETURNING experiment_id, attempt, is_cancel_requested",
        )
        .bind(incarnation)
        .bind(in_us(lease))
        .fetch_all(&mut *transaction)
        .await?;
        let held = rows.iter().map(to_held).collect::<Result<Vec<_>, _>>()?;
        commit(transaction).await?;
        Ok(Some(held))
    }

    /// Returns every registered server by name. A server whose offer cannot be read, as of a newer version, is left out
    /// with a warning.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let text = "SELECT n.name, n.incarnation, n.offer, n.engines, n.registered_at_us, n.heartbeat_at_us, n.alive_until_us, \
                    c.now_us FROM nodes n, database_clock c ORDER BY n.name";
        let rows = sqlx::query(text).fetch_all(&self.internal).await?;
        // An offer in the format of a newer version must not hide the other nodes.
        let readable = |row| {
            to_node(row)
                .inspect_err(|error| tracing::warn!(%error, "a node whose offer cannot be read is left out"))
                .ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Removes the server with this incarnation, and all servers whose lease expired more than `silence` ago.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn forget_nodes(&self, incarnation: &str, silence: Duration) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM nodes WHERE incarnation = $1 \
             OR alive_until_us < (SELECT now_us FROM database_clock) - $2",
        )
        .bind(incarnation)
        .bind(in_us(silence))
        .execute(&self.writes)
        .await?;
        Ok(())
    }
}

fn to_node(row: &AnyRow) -> Result<NodeRecord, StoreError> {
    let name: String = row.try_get("name")?;
    let (alive_until_us, now_us): (i64, i64) = (row.try_get("alive_until_us")?, row.try_get("now_us")?);
    Ok(NodeRecord {
        incarnation: row.try_get("incarnation")?,
        capabilities: Capabilities {
            engines: from_json(&format!("the engines of node {name}"), row.try_get("engines")?)?,
            ..from_json(&format!("the offer of node {name}"), row.try_get("offer")?)?
        },
        is_live: alive_until_us > now_us,
        registered_at: from_us(row.try_get("registered_at_us")?)?,
        heartbeat_at: from_us(row.try_get("heartbeat_at_us")?)?,
        name,
    })
}
