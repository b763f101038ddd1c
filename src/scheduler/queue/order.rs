//! Orders the queue: by priority, then by fair share, then by age.
//!
//! The fair share is least attained service with decay. Among the users with an experiment of the highest priority, the
//! one with the fewest device-seconds over the past week goes first; past device-seconds decay with a half-life of one
//! day. A running attempt counts from its start with at least [`MIN_CHARGED_SEC`] per device, and each experiment that
//! is already ordered counts as much. So users with equal shares alternate, and a user does not get all devices at
//! once just because nothing has run yet. Within one user and priority, the oldest experiment goes first. No user starves: the
//! users whose experiments run gain device-seconds, those who wait do not.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;

use joulemark_experiment::{Device, ExperimentId, Requirements};
use joulemark_measurement::units::MICROSECONDS_PER_SECOND;
use joulemark_store::{DeviceTime, DevicesInUse, Waiting, hour_of};

const HALF_LIFE_HOURS: f64 = 24.0;
/// Time in hours that counts, seven half-lives: older device-seconds would weigh less than a hundredth.
const REMEMBERED_HOURS: i64 = 168;
/// Minimum number of seconds that an assigned device counts for.
const MIN_CHARGED_SEC: f64 = 60.0;

/// Returns the first hour whose device time still counts at `now`.
pub fn first_hour(now: Timestamp) -> i64 {
    hour_of(now) - REMEMBERED_HOURS
}

/// Sums the device-seconds of each user, with past ones weighted by age.
pub fn device_sec_by_user(past: &[DeviceTime], in_use: &[DevicesInUse], now: Timestamp) -> HashMap<String, f64> {
    let mut by_user = HashMap::new();
    for time in past {
        // Age counts from the end of the hour, so that the current hour has full weight.
        let age_hours = (hour_of(now) - time.hour).max(0) as f64;
        let weight = (-age_hours / HALF_LIFE_HOURS).exp2();
        *by_user.entry(time.user.clone()).or_insert(0.0) += weight * time.device_us as f64 / MICROSECONDS_PER_SECOND;
    }
    for use_ in in_use {
        let since_sec = (now.as_microsecond() - use_.claimed_at_us) as f64 / MICROSECONDS_PER_SECOND;
        *by_user.entry(use_.user.clone()).or_insert(0.0) +=
            f64::from(use_.device_count) * since_sec.max(MIN_CHARGED_SEC);
    }
    by_user
}

/// Queued experiments of one user and priority, oldest first.
type UserQueue<'a> = VecDeque<&'a Waiting>;

/// A queued experiment in its turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub waiting: Waiting,
    /// Device-time in microseconds that its user has attained when its turn comes. Within a priority it never decreases
    /// from turn to turn.
    pub attained_us: u64,
}

/// Returns the queued experiments in the order in which they should start.
pub fn in_order(waiting: &[Waiting], device_sec: &HashMap<String, f64>) -> Vec<Waiting> {
    turns(waiting, device_sec)
        .into_iter()
        .map(|turn| turn.waiting)
        .collect()
}

/// Orders the queued experiments, each with the attained device-time that decided its position.
pub fn turns(waiting: &[Waiting], device_sec: &HashMap<String, f64>) -> Vec<Turn> {
    let mut queues: BTreeMap<Reverse<i32>, BTreeMap<&str, UserQueue<'_>>> = BTreeMap::new();
    let mut oldest_first = waiting.iter().collect::<Vec<_>>();
    oldest_first.sort_by_key(|waiting| waiting.id);
    for one in oldest_first {
        let users = queues.entry(Reverse(one.priority)).or_default();
        users.entry(&one.user).or_default().push_back(one);
    }
    let mut attained: HashMap<&str, f64> = device_sec.iter().map(|(user, sec)| (user.as_str(), *sec)).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    for mut users in queues.into_values() {
        let mut turns = BTreeSet::new();
        for (user, queue) in &users {
            turns.extend(turn(&attained, user, queue));
        }
        while let Some((attained_us, _, user)) = turns.pop_first() {
            let Some(queue) = users.get_mut(user) else { continue };
            if let Some(next) = queue.pop_front() {
                *attained.entry(user).or_insert(0.0) += charged_sec(&next.requirements);
                ordered.push(Turn {
                    waiting: next.clone(),
                    attained_us,
                });
            }
            turns.extend(turn(&attained, user, queue));
        }
    }
    ordered
}

/// Returns the sort key of a user's next turn: attained microseconds (as integers, which have a total order), the
/// oldest experiment, the user.
fn turn<'a>(
    attained: &HashMap<&str, f64>,
    user: &'a str,
    queue: &UserQueue<'_>,
) -> Option<(u64, ExperimentId, &'a str)> {
    let attained_sec = attained.get(user).copied().unwrap_or(0.0);
    queue.front().map(|oldest| (to_us(attained_sec), oldest.id, user))
}

/// Converts device-seconds to whole microseconds.
pub fn to_us(device_sec: f64) -> u64 {
    (device_sec.max(0.0) * MICROSECONDS_PER_SECOND) as u64
}

/// Returns the device-seconds that an ordered experiment counts for, as far as they are known before a node is chosen.
pub fn charged_sec(requirements: &Requirements) -> f64 {
    let devices = requirements.gpu_count + u32::from(requirements.device == Device::Cpu);
    f64::from(devices) * MIN_CHARGED_SEC
}

#[cfg(test)]
mod tests;
