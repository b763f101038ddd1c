//! Whose turn it is: priority, then the fair share, then age.
//!
//! The fair share is least attained service with forgetting: of the users with an experiment of the highest priority,
//! the one goes first whose device-seconds are fewest, counted over the past week with a half-life of a day. A running
//! attempt counts from its start, at least [`LEAST_SEC`] a device, and so does each experiment already put in order:
//! users with equal shares alternate, and nobody takes all devices at once because nothing has run yet. Within a user
//! and a priority the oldest goes first. Nobody is starved by it: whoever waits falls behind no further while those
//! that run gain device-seconds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;

use joulemark_experiment::{Device, ExperimentId, Requirements};
use joulemark_measurement::units::MICROSECONDS_PER_SECOND;
use joulemark_store::{DeviceTime, DevicesInUse, Waiting, hour_of};

const HALF_LIFE_HOURS: f64 = 24.0;
/// Seven half-lives: what is older weighs less than a hundredth.
const REMEMBERED_HOURS: i64 = 168;
/// What a device counts for at least once it is given away.
const LEAST_SEC: f64 = 60.0;

/// The first hour whose device time still counts at `now`.
pub fn first_hour(now: Timestamp) -> i64 {
    hour_of(now) - REMEMBERED_HOURS
}

/// Device-seconds by user, past ones weighed by their age.
pub fn device_sec_by_user(past: &[DeviceTime], in_use: &[DevicesInUse], now: Timestamp) -> HashMap<String, f64> {
    let mut by_user = HashMap::new();
    for time in past {
        // From the end of its hour, so that the present one weighs whole.
        let age_hours = (hour_of(now) - time.hour).max(0) as f64;
        let weight = (-age_hours / HALF_LIFE_HOURS).exp2();
        *by_user.entry(time.user.clone()).or_insert(0.0) += weight * time.device_us as f64 / MICROSECONDS_PER_SECOND;
    }
    for use_ in in_use {
        let since_sec = (now.as_microsecond() - use_.claimed_at_us) as f64 / MICROSECONDS_PER_SECOND;
        *by_user.entry(use_.user.clone()).or_insert(0.0) += f64::from(use_.device_count) * since_sec.max(LEAST_SEC);
    }
    by_user
}

/// A user's experiments of one priority, oldest first.
type Line<'a> = VecDeque<&'a Waiting>;

/// One experiment in its turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    pub waiting: Waiting,
    /// What its user had attained when its turn came. Within a priority it never falls from turn to turn.
    pub attained_us: u64,
}

/// All of `waiting` in the order in which they should start.
pub fn in_order(waiting: &[Waiting], device_sec: &HashMap<String, f64>) -> Vec<Waiting> {
    turns(waiting, device_sec)
        .into_iter()
        .map(|turn| turn.waiting)
        .collect()
}

/// Orders what waits, each with what decided its place.
pub fn turns(waiting: &[Waiting], device_sec: &HashMap<String, f64>) -> Vec<Turn> {
    let mut lines: BTreeMap<Reverse<i32>, BTreeMap<&str, Line<'_>>> = BTreeMap::new();
    let mut oldest_first = waiting.iter().collect::<Vec<_>>();
    oldest_first.sort_by_key(|waiting| waiting.id);
    for one in oldest_first {
        let users = lines.entry(Reverse(one.priority)).or_default();
        users.entry(&one.user).or_default().push_back(one);
    }
    let mut attained: HashMap<&str, f64> = device_sec.iter().map(|(user, sec)| (user.as_str(), *sec)).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    for mut users in lines.into_values() {
        let mut turns = BTreeSet::new();
        for (user, line) in &users {
            turns.extend(turn(&attained, user, line));
        }
        while let Some((attained_us, _, user)) = turns.pop_first() {
            let Some(line) = users.get_mut(user) else { continue };
            if let Some(next) = line.pop_front() {
                *attained.entry(user).or_insert(0.0) += charged_sec(&next.requirements);
                ordered.push(Turn {
                    waiting: next.clone(),
                    attained_us,
                });
            }
            turns.extend(turn(&attained, user, line));
        }
    }
    ordered
}

/// Microseconds, which compare whole, then the age of the oldest, then the user.
fn turn<'a>(attained: &HashMap<&str, f64>, user: &'a str, line: &Line<'_>) -> Option<(u64, ExperimentId, &'a str)> {
    let attained_sec = attained.get(user).copied().unwrap_or(0.0);
    line.front().map(|oldest| (to_us(attained_sec), oldest.id, user))
}

/// Returns device-seconds as they are compared.
pub fn to_us(device_sec: f64) -> u64 {
    (device_sec.max(0.0) * MICROSECONDS_PER_SECOND) as u64
}

/// Returns the device-seconds that a user is charged for one put in order, as far as they are known before a node is
/// chosen.
pub fn charged_sec(requirements: &Requirements) -> f64 {
    let devices = requirements.gpu_count + u32::from(requirements.device == Device::Cpu);
    f64::from(devices) * LEAST_SEC
}

#[cfg(test)]
mod tests;
