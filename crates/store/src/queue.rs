//! The queue: waiting experiments and the device time of each user. Every server reads it at least once a second. A
//! user queue is what one user has waiting with the same requirements; a read walks an index from one user queue to the
//! next and takes only the first experiments of each.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row;

use super::moves::set_state;
use super::queue_columns::{INSERT_LANE, QueueColumns};
use super::record::{from_json, id as id_of};
use super::state_change::lock_state;
use super::transaction::commit;
use super::{Store, StoreError};
use jiff::Timestamp;
use joulemark_experiment::{ExperimentId, Failure, FailureReason, Requirements, Spec, State};
use joulemark_measurement::quoted;

/// A queued experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    pub id: ExperimentId,
    /// Empty for a submission without a user.
    pub user: String,
    pub priority: i32,
    /// Shared by all experiments with the same requirements.
    pub requirements: Arc<Requirements>,
}

/// The device time of a user in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceTime {
    pub user: String,
    /// Hour since 1970 in which the attempts ended.
    pub hour: i64,
    /// Sum over attempts of devices times microseconds.
    pub device_us: i64,
}

/// The devices of one running experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicesInUse {
    pub user: String,
    pub device_count: u32,
    /// Time of the claim in microseconds since 1970.
    pub claimed_at_us: i64,
}

impl Store {
    /// Returns the first `depth` queued experiments of each user and each distinct set of requirements, by priority and
    /// then age. A long queue of one user does not hide the experiments of others.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn waiting(&self, depth: u32) -> Result<Vec<Waiting>, StoreError> {
        let text = self.dialect.waiting();
        let rows = sqlx::query(text)
            .bind(i64::from(depth))
            .fetch_all(&self.internal)
            .await?;
        let mut lanes = HashMap::new();
        for row in &rows {
            let lane: &str = row.try_get("lane")?;
            if !lanes.contains_key(lane) {
                lanes.insert(lane, self.lanes.requirements(lane, &self.internal).await?);
            }
        }
        self.lanes.retain(&lanes);
        let mut waiting = Vec::with_capacity(rows.len());
        for row in &rows {
            let (lane, heads): (&str, &str) = (row.try_get("lane")?, row.try_get("heads")?);
            let Some(requirements) = lanes.get(lane).and_then(Option::as_ref) else {
                continue;
            };
            for head in heads.split(',') {
                let (id, priority) = read_head(head)?;
                waiting.push(Waiting {
                    id,
                    user: row.try_get("user_name")?,
                    priority,
                    requirements: requirements.clone(),
                });
            }
        }
        Ok(waiting)
    }

    /// Returns the device time of attempts that ended in `first_hour` or later.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn device_times(&self, first_hour: i64) -> Result<Vec<DeviceTime>, StoreError> {
        let text = "SELECT user_name, hour, device_us FROM device_time WHERE hour >= $1";
        let rows = sqlx::query(text).bind(first_hour).fetch_all(&self.internal).await?;
        let time = |row: &sqlx::any::AnyRow| {
            Ok(DeviceTime {
                user: row.try_get("user_name")?,
                hour: row.try_get("hour")?,
                device_us: row.try_get("device_us")?,
            })
        };
        rows.iter().map(time).collect()
    }

    /// Deletes device time from before `first_hour`.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn forget_device_time(&self, first_hour: i64) -> Result<(), StoreError> {
        let text = "DELETE FROM device_time WHERE hour < $1";
        sqlx::query(text).bind(first_hour).execute(&self.writes).await?;
        Ok(())
    }

    /// Returns the devices of each running experiment, on all nodes.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn devices_in_use(&self) -> Result<Vec<DevicesInUse>, StoreError> {
        let text = "SELECT user_name, device_count, claimed_at_us FROM leases";
        let rows = sqlx::query(text).fetch_all(&self.internal).await?;
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

    /// Computes the lane of experiments that an earlier version queued. Returns the number of experiments; one whose
    /// spec cannot be read back fails.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn fill_in_lanes(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut filled = 0;
        loop {
            let text = "SELECT id, spec FROM experiments WHERE state = 'queued' AND lane = '' ORDER BY id LIMIT 50";
            let rows = sqlx::query(text).fetch_all(&self.internal).await?;
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
                let columns = QueueColumns::from_spec(&spec)?;
                sqlx::query(INSERT_LANE)
                    .bind(&columns.lane)
                    .bind(&columns.requirements)
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
        commit(transaction).await
    }
}

/// Parses `PRIORITY:ID`, as `Dialect::waiting` writes it.
fn read_head(text: &str) -> Result<(ExperimentId, i32), StoreError> {
    let corrupt =
        |reason: &str| StoreError::corrupt(format!("a position in the queue, {text}", text = quoted(&text)), reason);
    let (priority, id) = text.split_once(':').ok_or_else(|| corrupt("it has no colon"))?;
    let id = id.parse().map_err(|_| corrupt("it has no id"))?;
    let priority = priority.parse().map_err(|_| corrupt("it has no priority"))?;
    Ok((id, priority))
}
