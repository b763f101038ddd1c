use jiff::Timestamp;

use super::record::to_us;

pub const US_PER_HOUR: i64 = 3_600_000_000;

/// The hour of the fair share's account that `time` is in.
pub fn hour_of(time: Timestamp) -> i64 {
    to_us(time).div_euclid(US_PER_HOUR)
}
