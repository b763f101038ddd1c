use jiff::Timestamp;

use super::record::to_us;

/// Microseconds in an hour.
pub const US_PER_HOUR: i64 = 3_600_000_000;

/// Returns the hour since 1970 that contains `time`. Device time is accounted by these hours.
pub fn hour_of(time: Timestamp) -> i64 {
    to_us(time).div_euclid(US_PER_HOUR)
}
