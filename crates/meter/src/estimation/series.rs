//! Holds one quantity that only grows, sampled over time: joules of a counter, integrated power, or CPU seconds.
//!
//! Owns storage, integration and interpolation. Leaves the meaning of the quantity, and the combination of its errors,
//! to `window`. A break marks where growth is unknown; no growth spans it.

mod counter_interpolation;
mod growth;
mod levels;
mod power;
mod power_curve;
mod power_curve_errors;
mod rates;
mod refresh_period;
mod refresh_times;
mod refreshed_power;
mod samples;
mod slowest_refresh;
mod span;

pub use growth::{Growth, Unknown};
pub use power_curve::PowerCurve;
pub use power_curve_errors::PowerCurveErrors;
pub use rates::Rate;
pub use refresh_period::{FAST_REFRESH_SEC, MAX_COUNTER_REFRESH_SEC, MAX_REFRESH_SEC};
pub use samples::{Rests, Series};
pub use span::Span;

#[cfg(test)]
mod tests;
