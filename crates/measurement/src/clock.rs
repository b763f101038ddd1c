//! The one legal caller of "now". Windows and meter samples of every process are stamped with CLOCK_MONOTONIC,
//! which is one clock for the whole host, so that a worker's window and the meter's timeline line up.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::units::NANOSECONDS_PER_SECOND;

/// A reading of CLOCK_MONOTONIC in nanoseconds since the host's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    pub fn now() -> Self {
        // CLOCK_MONOTONIC cannot fail on Linux: the id is always valid and the pointer is ours.
        let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC is always there");
        Self(Duration::from(time).as_nanos() as u64)
    }

    pub fn as_sec(self) -> f64 {
        self.0 as f64 / NANOSECONDS_PER_SECOND
    }

    pub fn from_sec(sec: f64) -> Self {
        Self((sec * NANOSECONDS_PER_SECOND).round() as u64)
    }

    /// Seconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub fn sec_since(self, earlier: Self) -> f64 {
        // Centuries fit into 63 bits; the conversion from 128 stood high in a profile of the meter's thread.
        self.0.wrapping_sub(earlier.0).cast_signed() as f64 / NANOSECONDS_PER_SECOND
    }
}

/// Wall-clock time, for people to read; never used to compute a duration.
#[expect(clippy::disallowed_methods, reason = "this is the one legal caller")]
pub fn wall_now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Returns the time since the kernel stamped something by its wall clock, such as bytes that arrived; `None` when that clock
/// was set back in between.
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
