//! The metrics that are counted while the server runs.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::sync::Mutex;

use super::requests::RequestMetrics;
use crate::http::problem::Problem;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::QueueDepth;
use joulemark_store::metrics::Label;

/// Counters of the HTTP layer, and the queue depth that scrapes share.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub requests: RequestMetrics,
    /// Submissions refused because of a limit, by `reason`.
    pub refused_submissions: Family<Label, Counter>,
    pub started_at: Timestamp,
    pub(super) depth: Arc<Mutex<Option<KnownDepth>>>,
}

impl Metrics {
    /// Returns the metrics of a server that starts now.
    pub fn start() -> Self {
        let refused_submissions = Family::default();
        // A series that exists from the start shows its first event as a step from 0.
        for reason in LIMITS {
            refused_submissions.get_or_create_owned(&[("reason", reason)]);
        }
        Self {
            requests: RequestMetrics::default(),
            refused_submissions,
            started_at: clock::wall_now(),
            depth: Arc::default(),
        }
    }
}

/// Kinds of problems that refuse a submission because of a limit.
const LIMITS: [&str; 5] = [
    "queue-full",
    "quota",
    "device-hours-used-up",
    "joules-used-up",
    "priority-too-high",
];

impl Metrics {
    /// Counts a submission that was refused because of a limit, and returns the problem unchanged.
    pub fn refused(&self, problem: Problem) -> Problem {
        if let Some(reason) = LIMITS.into_iter().find(|limit| problem.is_of_kind(limit)) {
            self.refused_submissions
                .get_or_create_owned(&[("reason", reason)])
                .inc();
        }
        problem
    }
}

/// The queue depth last read, and the time until which it is reused.
#[derive(Clone, Debug)]
pub struct KnownDepth {
    pub(super) until: Monotonic,
    /// `None` while the database is unreachable.
    pub(super) depth: Option<QueueDepth>,
}
