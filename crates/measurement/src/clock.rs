//! The clocks. Only this module reads the current time. Windows and meter samples of all processes are stamped with
//! CLOCK_MONOTONIC, which is one clock for the whole host, so a worker's window and the meter's samples share one time
//! axis.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::units::NANOSECONDS_PER_SECOND;

/// A reading of CLOCK_MONOTONIC in nanoseconds since the host's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// Reads the clock.
    pub fn now() -> Self {
        // CLOCK_MONOTONIC cannot fail on Linux: the id is always valid and the pointer is ours.
        let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC is always there");
        Self(Duration::from(time).as_nanos() as u64)
    }

    /// Returns the reading in seconds.
    pub fn as_sec(self) -> f64 {
        self.0 as f64 / NANOSECONDS_PER_SECOND
    }

    /// Creates a reading from seconds since the host's boot.
    pub fn from_sec(sec: f64) -> Self {
        Self((sec * NANOSECONDS_PER_SECOND).round() as u64)
    }

    /// Returns the seconds from `earlier` to `self`, negative when `self` is earlier.
    pub fn sec_since(self, earlier: Self) -> f64 {
        // 63 bits hold centuries of nanoseconds. A conversion from 128 bits was slow in a profile of the meter's
        // thread.
        self.0.wrapping_sub(earlier.0).cast_signed() as f64 / NANOSECONDS_PER_SECOND
    }
}

/// Returns wall-clock time for display. Durations are computed from [`Monotonic`] only.
#[expect(clippy::disallowed_methods, reason = "the only function that reads the wall clock")]
pub fn wall_now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns the time since a wall-clock stamp of the kernel, such as that of arrived bytes; `None` when the stamp is
/// later than now because the clock was set back.
pub fn since_wall_stamp(stamp: Duration) -> Option<Duration> {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("CLOCK_REALTIME is always there");
    Duration::from(now).checked_sub(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_the_wall_clock_has_an_age_unless_the_clock_was_set_back() {
        let now = Duration::try_from(wall_now().as_duration()).expect("the epoch is over");
        assert!(since_wall_stamp(now).is_some());
        assert_eq!(since_wall_stamp(now + Duration::from_secs(3600)), None);
    }
}
