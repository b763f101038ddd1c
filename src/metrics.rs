//! Counters and histograms of experiments for `GET /metrics`. Leaves collection and presentation to `http`.

use joulemark_experiment::FailureReason;
use joulemark_store::metrics::{Label, Timings};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};

/// Histogram buckets in seconds for waits and runs of experiments, from a tenth of a second to a day.
const SLOW_SEC: [f64; 11] = [
    0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0,
];

fn slow_sec() -> Histogram {
    Histogram::new(SLOW_SEC)
}

/// Metrics of the experiments that this server ran or cancelled. Clones share them.
#[derive(Clone, Debug)]
pub struct ExperimentMetrics {
    /// Finished experiments by final `state`.
    pub finished: Family<Label, Counter>,
    /// Failed experiments by `reason`.
    pub failed: Family<Label, Counter>,
    /// Ends of runs that are neither in the database nor on disk.
    pub endings_in_memory: Gauge,
    /// Time from submission to claim.
    pub queue_wait_sec: Histogram,
    /// Time from claim to stored end, by final `state`.
    pub run_sec: Timings,
}

impl Default for ExperimentMetrics {
    fn default() -> Self {
        let metrics = Self {
            finished: Family::default(),
            failed: Family::default(),
            endings_in_memory: Gauge::default(),
            queue_wait_sec: slow_sec(),
            run_sec: Timings::new_with_constructor(slow_sec),
        };
        // Series that exist from the start show their first event as a step from 0.
        for state in ["completed", "failed", "cancelled"] {
            metrics.finished.get_or_create_owned(&[("state", state)]);
        }
        for reason in FailureReason::ALL {
            metrics.failed.get_or_create_owned(&[("reason", reason.as_str())]);
        }
        metrics
    }
}
