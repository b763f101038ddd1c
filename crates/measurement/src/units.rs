//! Conversion factors between units. Other modules name the unit of a value (`_j`, `_w`, `_sec`) and convert with
//! these.

pub const MICROJOULES_PER_JOULE: f64 = 1e6;
pub const MILLIJOULES_PER_JOULE: f64 = 1e3;
pub const MILLIWATTS_PER_WATT: f64 = 1e3;
pub const MICROWATTS_PER_WATT: f64 = 1e6;
pub const NANOSECONDS_PER_SECOND: f64 = 1e9;
pub const MICROSECONDS_PER_SECOND: f64 = 1e6;
pub const MILLISECONDS_PER_SECOND: f64 = 1e3;
pub const PERCENT: f64 = 100.0;
