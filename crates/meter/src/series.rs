//! One quantity that only grows, sampled over time: joules of a counter, integrated power, CPU seconds.
//!
//! Owns storage, integration and interpolation. Deliberately does not know what it stores: a source's instrument and
//! an estimate's doubt are weighed in `window`. A break marks where growth cannot be known; no growth spans it.

mod counter_interpolation;
mod grid;
mod growth;
mod levels;
mod power;
mod power_curve;
mod rates;
mod refresh_period;
mod samples;
mod ticks;

pub use growth::{Growth, Span, Unknown};
pub use power_curve::PowerCurve;
pub use rates::Rate;
pub use samples::{Sample, Series};

#[cfg(test)]
mod tests;
