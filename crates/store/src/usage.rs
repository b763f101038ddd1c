//! The device time and energy of each user, by the hour in which attempts ended. Owns the sums; quotas are decided
//! elsewhere. One row for each user and hour, so that a week is at most 168 rows however many experiments ran.

use jiff::Timestamp;
use sqlx::any::{Any, AnyRow};
use sqlx::{Row, Transaction};

use super::hour::hour_of;
use super::record::to_us;
use super::{Store, StoreError};
use joulemark_experiment::ExperimentId;
use joulemark_experiment::report::Report;
use joulemark_measurement::Phase;

pub(super) const HOURS: &str = "SELECT hour, device_us, energy_j, attempts - metered_attempts AS unmetered \
     FROM device_time WHERE user_name = $1 AND hour >= $2 ORDER BY hour";

/// The usage of one user in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HourOfUsage {
    /// Hour since 1970.
    pub hour: i64,
    /// Sum over attempts of devices times microseconds.
    pub device_us: i64,
    /// Energy in joules of the attempts for which it is known.
    pub energy_j: f64,
    /// Number of attempts whose energy is unknown: they failed, were cancelled before a cycle was finished, or were not
    /// metered.
    pub unmetered_attempts: u64,
}

/// The usage of one user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Oldest hour first.
    pub hours: Vec<HourOfUsage>,
    /// Devices times microseconds of running experiments since their claim.
    pub running_device_us: i64,
}

/// Returns the energy attributed to an experiment in joules: that of its cycles, and that of model loading and warm-up
/// where they were long enough to be measured. `None` when the energy of the cycles is unknown.
pub fn energy_j(report: &Report) -> Option<f64> {
    let before = report.energy.phases.iter();
    let before = before.filter(|phase| matches!(phase.phase, Phase::ModelLoad | Phase::WarmUp));
    let before: f64 = before.filter_map(|phase| phase.total_energy_j).sum();
    Some(report.energy.total_energy_j? + before)
}

/// Adds the energy of an attempt with results to its user's account, in the transaction of its end. The end itself adds
/// the device time.
pub async fn note_energy(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    energy_j: Option<f64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(energy_j) = energy_j.filter(|energy_j| energy_j.is_finite()) else {
        return Ok(());
    };
    let text = "INSERT INTO device_time (user_name, hour, device_us, metered_attempts, energy_j) \
         SELECT user_name, $2, 0, 1, $3 FROM experiments WHERE id = $1 \
         ON CONFLICT (user_name, hour) DO UPDATE SET energy_j = device_time.energy_j + excluded.energy_j, \
         metered_attempts = device_time.metered_attempts + 1";
    sqlx::query(text)
        .bind(id.to_string())
        .bind(hour_of(now))
        .bind(energy_j)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Returns the user's usage from `first_hour` on, and the device time of running experiments until `now`.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn usage(&self, user: &str, first_hour: i64, now: Timestamp) -> Result<Usage, StoreError> {
        let rows = sqlx::query(HOURS)
            .bind(user)
            .bind(first_hour)
            .fetch_all(&self.reads)
            .await?;
        let running = self.devices_in_use().await?;
        let of_user = running.iter().filter(|in_use| in_use.user == user);
        let device_us =
            of_user.map(|in_use| i64::from(in_use.device_count) * (to_us(now) - in_use.claimed_at_us).max(0));
        Ok(Usage {
            hours: rows.iter().map(hour).collect::<Result<_, _>>()?,
            running_device_us: device_us.sum(),
        })
    }
}

fn hour(row: &AnyRow) -> Result<HourOfUsage, StoreError> {
    let unmetered: i64 = row.try_get("unmetered")?;
    Ok(HourOfUsage {
        hour: row.try_get("hour")?,
        device_us: row.try_get("device_us")?,
        energy_j: row.try_get("energy_j")?,
        unmetered_attempts: u64::try_from(unmetered).unwrap_or(0),
    })
}
