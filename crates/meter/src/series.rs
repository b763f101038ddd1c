//! One quantity that only grows, sampled over time: joules of a counter, integrated power, CPU seconds.
//!
//! Owns storage, integration and interpolation. Deliberately does not know what it stores: a source's instrument and
//! an estimate's doubt are weighed in `window`. A break marks where growth cannot be known; no growth spans it.

mod between;
mod grid;
mod growth;
mod levels;
mod power;
mod rates;
mod refresh;
mod refreshed;
mod samples;
mod ticks;

pub use growth::{Growth, Span, Unknown};
pub use rates::Rate;
pub use refreshed::Refreshed;
pub use samples::{Sample, Series};

#[cfg(test)]
mod tests;
