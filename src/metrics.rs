//! What the rooms count as it happens, for `GET /metrics` to show: counters and histograms that start at 0 with the
//! server. Words only: whoever counts does not know how it is shown, and nothing is gathered here.

use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};

/// One label with one of a few fixed values.
pub type Label = [(&'static str, &'static str); 1];

/// Seconds by a label.
pub type Timings = Family<Label, Histogram, fn() -> Histogram>;

/// Writes and answers, from half a millisecond to the limit of a request's time.
const QUICK_SEC: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];
/// Waits and runs of experiments, from a tenth of a second to a day.
const SLOW_SEC: [f64; 11] = [
    0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0,
];
const GROUP_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// A histogram of what is over within milliseconds or seconds.
pub fn quick_sec() -> Histogram {
    Histogram::new(QUICK_SEC)
}

fn slow_sec() -> Histogram {
    Histogram::new(SLOW_SEC)
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

/// Of the experiments that this server ran or cancelled. Clones count together.
#[derive(Clone, Debug)]
pub struct ExperimentMetrics {
    /// By final `state`.
    pub finished: Family<Label, Counter>,
    /// From submission to claim.
    pub queue_wait_sec: Histogram,
    /// From claim to stored end, by final `state`.
    pub run_sec: Timings,
}

impl Default for ExperimentMetrics {
    fn default() -> Self {
        let metrics = Self {
            finished: Family::default(),
            queue_wait_sec: slow_sec(),
            run_sec: Timings::new_with_constructor(slow_sec),
        };
        // A series that is there from the start shows its first event as a step from 0.
        for state in ["completed", "failed", "cancelled"] {
            metrics.finished.get_or_create_owned(&[("state", state)]);
        }
        metrics
    }
}
