//! Defines a span of time.

use joulemark_measurement::Window;
use joulemark_measurement::clock::Monotonic;

/// A span of time between two moments of the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the span.
    pub start: Monotonic,
    /// End of the span.
    pub end: Monotonic,
}

impl From<&Window> for Span {
    fn from(window: &Window) -> Self {
        Self {
            start: Monotonic::from_sec(window.start_monotonic_sec),
            end: Monotonic::from_sec(window.end_monotonic_sec),
        }
    }
}

impl Span {
    /// Returns the length in seconds.
    pub fn sec(&self) -> f64 {
        self.end.sec_since(self.start)
    }
}
