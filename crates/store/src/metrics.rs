//! Metrics that the store records, for the server to expose.

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

/// A label whose value is one of a few fixed ones.
pub type Label = [(&'static str, &'static str); 1];

/// Histograms of durations in seconds, by a label.
pub type Timings = Family<Label, Histogram, fn() -> Histogram>;

/// Upper bounds of the buckets, in seconds: from half a millisecond to the time limit of a request.
const QUICK_SEC: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
const GROUP_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Returns a histogram for durations between half a millisecond and a minute.
pub fn quick_sec() -> Histogram {
    Histogram::new(QUICK_SEC)
}

/// Metrics of the store's writes. Clones share their values.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// Duration of writes by `operation`, including failed ones.
    pub write_sec: Timings,
    /// Number of failed writes by `operation`.
    pub write_failures: Family<Label, Counter>,
    /// Number of submissions in one commit.
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
