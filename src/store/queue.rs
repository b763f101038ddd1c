//! What waits, and whose turn it is: read once a second by every server, so it reads nothing but an index and the few
//! distinct needs.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::Row;

use super::record::{from_json, id as id_of, to_json, to_us};
use super::standing::{lock_state, set_state};
use super::{Store, StoreError};
use crate::experiment::{ExperimentId, Failure, FailureReason, Needs, Spec, State};
use jiff::Timestamp;

/// One experiment that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub id: ExperimentId,
    /// Empty for nobody named.
    pub user: String,
    pub priority: i32,
    /// Shared by all that need the same.
    pub needs: Arc<Needs>,
}

/// Devices that a user has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTime {
    pub user: String,
    /// The hour since 1970 in which the attempts ended.
    pub hour: i64,
    /// Sum over attempts of devices times microseconds.
    pub device_us: i64,
}

/// Devices that a user has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesInUse {
    pub user: String,
    pub device_count: u32,
    pub claimed_at_us: i64,
}

pub const US_PER_HOUR: i64 = 3_600_000_000;

/// The columns of a new experiment that the queue is read by.
#[derive(Debug)]
pub struct QueueColumns {
    pub lane: String,
    pub needs: String,
    pub user_name: String,
    pub priority: i64,
}

impl QueueColumns {
    pub fn of(spec: &Spec) -> Result<Self, StoreError> {
        let needs = to_json(&spec.needs())?;
        let digest = Sha256::digest(needs.as_bytes());
        Ok(Self {
            lane: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            needs,
            user_name: spec.user.clone().unwrap_or_default(),
            priority: i64::from(spec.priority),
        })
    }
}

/// Stands before the experiment in the same transaction, so that no lane is ever unknown.
pub const INSERT_LANE: &str = "INSERT INTO lanes (lane, needs) VALUES ($1, $2) ON CONFLICT (lane) DO NOTHING";

impl Store {
    /// Of each user and each distinct need the first `depth` that wait, by priority and then age: whatever else waits,
    /// nothing is hidden behind it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self, depth: u32) -> Result<Vec<Waiting>, StoreError> {
        let rows = sqlx::query(
            "SELECT w.id, w.user_name, w.priority, w.lane FROM ( \
                 SELECT id, user_name, priority, lane, \
                        ROW_NUMBER() OVER (PARTITION BY lane, user_name ORDER BY priority DESC, id) AS place \
                 FROM experiments WHERE state = 'queued' AND lane <> '') w \
             WHERE w.place <= $1",
        )
        .bind(i64::from(depth))
        .fetch_all(&self.reads)
        .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let lanes = self.lanes().await?;
        let mut waiting = Vec::with_capacity(rows.len());
        for row in &rows {
            // A lane that came after the first read is there in the next one.
            let Some(needs) = lanes.get(row.try_get::<&str, _>("lane")?) else {
                continue;
            };
            let priority: i64 = row.try_get("priority")?;
            waiting.push(Waiting {
                id: id_of(row, "id")?,
                user: row.try_get("user_name")?,
                priority: priority
                    .try_into()
                    .map_err(|reason| StoreError::corrupt("a priority", reason))?,
                needs: needs.clone(),
            });
        }
        Ok(waiting)
    }

    /// What each lane in use needs. One that cannot be read back must not stand in the way of all others.
    async fn lanes(&self) -> Result<HashMap<String, Arc<Needs>>, StoreError> {
        let text = "SELECT lane, needs FROM lanes \
                    WHERE EXISTS (SELECT 1 FROM experiments e WHERE e.state = 'queued' AND e.lane = lanes.lane)";
        let rows = sqlx::query(text).fetch_all(&self.reads).await?;
        let mut lanes = HashMap::with_capacity(rows.len());
        for row in &rows {
            match from_json("what a lane needs", row.try_get("needs")?) {
                Ok(needs) => drop(lanes.insert(row.try_get("lane")?, Arc::new(needs))),
                Err(error) => tracing::error!(%error, "left in the queue"),
            }
        }
        Ok(lanes)
    }

    /// Device time of attempts that ended in `first_hour` or later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn device_times(&self, first_hour: i64) -> Result<Vec<DeviceTime>, StoreError> {
        let text = "SELECT user_name, hour, device_us FROM device_time WHERE hour >= $1";
        let rows = sqlx::query(text).bind(first_hour).fetch_all(&self.reads).await?;
        let time = |row: &sqlx::any::AnyRow| {
            Ok(DeviceTime {
                user: row.try_get("user_name")?,
                hour: row.try_get("hour")?,
                device_us: row.try_get("device_us")?,
            })
        };
        rows.iter().map(time).collect()
    }

    /// Forgets device time from before `first_hour`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_device_time(&self, first_hour: i64) -> Result<(), StoreError> {
        let text = "DELETE FROM device_time WHERE hour < $1";
        sqlx::query(text).bind(first_hour).execute(&self.writes).await?;
        Ok(())
    }

    /// Devices of everything that runs, on all nodes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn devices_in_use(&self) -> Result<Vec<DevicesInUse>, StoreError> {
        let text = "SELECT user_name, device_count, claimed_at_us FROM leases";
        let rows = sqlx::query(text).fetch_all(&self.reads).await?;
        let in_use = |row: &sqlx::any::AnyRow| {
            let count: i64 = row.try_get("device_count")?;
            Ok(DevicesInUse {
                user: row.try_get("user_name")?,
                device_count: u32::try_from(count).unwrap_or(0),
                claimed_at_us: row.try_get("claimed_at_us")?,
            })
        };
        rows.iter().map(in_use).collect()
    }

    /// Gives a lane to what an earlier version queued; how many were given one. What cannot be read back fails.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fill_in_lanes(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut filled = 0;
        loop {
            let text = "SELECT id, spec FROM experiments WHERE state = 'queued' AND lane = '' ORDER BY id LIMIT 50";
            let rows = sqlx::query(text).fetch_all(&self.reads).await?;
            if rows.is_empty() {
                return Ok(filled);
            }
            for row in &rows {
                let id = id_of(row, "id")?;
                let spec = from_json::<Spec>(&format!("the spec of experiment {id}"), row.try_get("spec")?);
                self.fill_in(id, spec, now).await?;
                filled += 1;
            }
        }
    }

    async fn fill_in(
        &self,
        id: ExperimentId,
        spec: Result<Spec, StoreError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        match spec {
            Ok(spec) => {
                let columns = QueueColumns::of(&spec)?;
                sqlx::query(INSERT_LANE)
                    .bind(&columns.lane)
                    .bind(&columns.needs)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query("UPDATE experiments SET lane = $1, user_name = $2, priority = $3 WHERE id = $4")
                    .bind(columns.lane)
                    .bind(columns.user_name)
                    .bind(columns.priority)
                    .bind(id.to_string())
                    .execute(&mut *transaction)
                    .await?;
            }
            Err(error) => {
                if lock_state(self, &mut transaction, id).await? == Some(State::Queued) {
                    let failure = Failure::of_server(FailureReason::ServerError, error.to_string());
                    set_state(&mut transaction, id, (State::Failed, Some(&failure)), now).await?;
                }
            }
        }
        Ok(transaction.commit().await?)
    }
}

/// The hour of the fair share's account that `time` is in.
pub fn hour_of(time: Timestamp) -> i64 {
    to_us(time).div_euclid(US_PER_HOUR)
}
