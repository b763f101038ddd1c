//! Compares a submitter's use of devices and energy in the last seven days with the quota. Leaves the sums to the
//! store, and the quotas to the configuration.

use jiff::Timestamp;

use joulemark_measurement::units::MICROSECONDS_PER_SECOND;
use joulemark_store::{HourOfUsage, US_PER_HOUR, Usage, hour_of};

/// Seven days, including the hour that has begun.
const WINDOW_HOURS: i64 = 168;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// Quota of a submitter in seven days; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    pub device_hours: Option<u64>,
    pub joules: Option<u64>,
}

/// Resource with a weekly quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weekly {
    DeviceHours,
    Joules,
}

/// Use of one resource and its quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Account {
    pub used: f64,
    /// `None` for no limit.
    pub allowed: Option<u64>,
    /// Time at which enough of the use is older than the window; `None` while the quota is not used up, and when
    /// running experiments alone use it up.
    pub room_again_at: Option<Timestamp>,
}

/// A submitter's use of all resources with a quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accounts {
    pub device_hours: Account,
    pub joules: Account,
    /// Attempts that ended within the window with unknown energy, which no sum includes.
    pub unmetered_experiments: u64,
}

/// Returns the first hour of the window that ends at `now`.
pub fn first_hour(now: Timestamp) -> i64 {
    hour_of(now) - WINDOW_HOURS + 1
}

impl Accounts {
    /// Computes the accounts from the use since [`first_hour`] and the quotas.
    pub fn new(usage: &Usage, allowed: &Allowed) -> Self {
        let hours = |device_us: i64| device_us as f64 / MICROSECONDS_PER_SECOND / SECONDS_PER_HOUR;
        let of_hours = |amount: &dyn Fn(&HourOfUsage) -> f64| {
            let each = usage.hours.iter().map(|hour| (hour.hour, amount(hour)));
            each.collect::<Vec<_>>()
        };
        let device_hours = of_hours(&|hour| hours(hour.device_us));
        let joules = of_hours(&|hour| hour.energy_j);
        Self {
            device_hours: Account::new(&device_hours, hours(usage.running_device_us), allowed.device_hours),
            joules: Account::new(&joules, 0.0, allowed.joules),
            unmetered_experiments: usage.hours.iter().map(|hour| hour.unmetered_attempts).sum(),
        }
    }
}

impl Account {
    /// Sums the use, with `hours` oldest first. The use of running experiments does not leave the window.
    fn new(hours: &[(i64, f64)], of_running: f64, allowed: Option<u64>) -> Self {
        let used = hours.iter().map(|(_, amount)| amount).sum::<f64>() + of_running;
        let mut left = used;
        let mut leaving = hours.iter().map(|(hour, amount)| {
            left -= amount;
            (*hour, left)
        });
        let room_again_at = allowed.filter(|allowed| used >= *allowed as f64).and_then(|allowed| {
            let (hour, _) = leaving.find(|(_, left)| *left < allowed as f64)?;
            Timestamp::from_microsecond((hour + WINDOW_HOURS) * US_PER_HOUR).ok()
        });
        Self {
            used,
            allowed,
            room_again_at,
        }
    }

    /// Returns whether the quota is used up.
    pub fn is_used_up(&self) -> bool {
        self.allowed.is_some_and(|allowed| self.used >= allowed as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(hours: &[(i64, i64, f64)], running_device_us: i64) -> Usage {
        let hours = hours.iter().map(|&(hour, device_us, energy_j)| HourOfUsage {
            hour,
            device_us,
            energy_j,
            unmetered_attempts: 1,
        });
        Usage {
            hours: hours.collect(),
            running_device_us,
        }
    }

    fn limits(device_hours: u64, joules: u64) -> Allowed {
        Allowed {
            device_hours: Some(device_hours),
            joules: Some(joules),
        }
    }

    fn hour_start(hour: i64) -> Timestamp {
        Timestamp::from_microsecond(hour * US_PER_HOUR).unwrap()
    }

    #[test]
    fn there_is_room_again_once_enough_is_seven_days_old() {
        let used = usage(
            &[(1000, US_PER_HOUR, 5.0), (1001, 2 * US_PER_HOUR, 90.0)],
            US_PER_HOUR / 2,
        );
        let accounts = Accounts::new(&used, &limits(3, 95));
        assert_eq!(accounts.device_hours.used, 3.5);
        assert!(accounts.device_hours.is_used_up() && accounts.joules.is_used_up());
        assert_eq!(accounts.device_hours.room_again_at, Some(hour_start(1168)));
        assert_eq!(accounts.joules.room_again_at, Some(hour_start(1168)));
        assert_eq!(accounts.unmetered_experiments, 2);
        let roomy = Accounts::new(&used, &limits(4, 96));
        assert!(!roomy.device_hours.is_used_up() && !roomy.joules.is_used_up());
        assert_eq!(roomy.joules.room_again_at, None);
        let unlimited = Accounts::new(&used, &Allowed::default());
        assert!(!unlimited.device_hours.is_used_up());
        // Running experiments alone exceed the quota: nobody knows when they end.
        let running = Accounts::new(&usage(&[], 5 * US_PER_HOUR), &limits(3, 1));
        assert!(running.device_hours.is_used_up());
        assert_eq!(running.device_hours.room_again_at, None);
    }

    proptest! {
        /// At the returned time the quota is no longer used up; an hour earlier it is.
        #[test]
    fn the_returned_time_is_the_first_hour_with_room(
            amounts in proptest::collection::vec(0.5_f64..10.0, 1..168), allowed in 1_u64..500,
        ) {
            let now_hour = 5000;
            let first = now_hour - amounts.len() as i64 + 1;
            let all: Vec<_> = amounts.iter().zip(first..).map(|(joules, hour)| (hour, 0, *joules)).collect();
            let at = |time: Timestamp| {
                let within: Vec<_> = all.iter().copied().filter(|(hour, ..)| *hour >= first_hour(time)).collect();
                Accounts::new(&usage(&within, 0), &limits(1, allowed)).joules
            };
            let account = at(hour_start(now_hour));
            match account.room_again_at {
                Some(time) => {
                    prop_assert!(account.is_used_up());
                    prop_assert!(!at(time).is_used_up());
                    prop_assert!(at(hour_start(hour_of(time) - 1)).is_used_up());
                }
                None => prop_assert!(!account.is_used_up()),
            }
        }
    }
}
