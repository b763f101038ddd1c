//! What the store counts as it happens, for a scrape to show.

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

/// One label with one of a few fixed values.
pub type Label = [(&'static str, &'static str); 1];

/// Seconds by a label.
pub type Timings = Family<Label, Histogram, fn() -> Histogram>;

/// Writes and answers, from half a millisecond to the limit of a request's time.
const QUICK_SEC: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
const GROUP_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// A histogram of what is over within milliseconds or seconds.
pub fn quick_sec() -> Histogram {
    Histogram::new(QUICK_SEC)
}

/// Clones count together.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// By `operation`, failed ones included.
    pub write_sec: Timings,
    /// By `operation`.
    pub write_failures: Family<Label, Counter>,
    /// Submissions that shared a commit.
    pub group_size: Histogram,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            write_sec: Timings::new_with_constructor(quick_sec),
            write_failures: Family::default(),
            group_size: Histogram::new(GROUP_SIZES),
        }
    }
}
