use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::sync::Mutex;

use super::requests::RequestMetrics;
use crate::http::problem::Problem;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::QueueDepth;
use joulemark_store::metrics::Label;

/// What HTTP itself counts, and what a scrape remembers for the next one.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub requests: RequestMetrics,
    /// By `reason`.
    pub refused_submissions: Family<Label, Counter>,
    pub started_at: Timestamp,
    pub(super) depth: Arc<Mutex<Option<KnownDepth>>>,
}

impl Metrics {
    /// Of a server that starts now.
    pub fn start() -> Self {
        let refused_submissions = Family::default();
        // A series that is there from the start shows its first event as a step from 0.
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

/// Kinds of problems by which a limit refuses a submission.
const LIMITS: [&str; 5] = [
    "queue-full",
    "quota",
    "device-hours-used-up",
    "joules-used-up",
    "priority-too-high",
];

impl Metrics {
    /// Counts a submission that a limit refuses, and returns why.
    pub fn refused(&self, problem: Problem) -> Problem {
        if let Some(reason) = LIMITS.into_iter().find(|limit| problem.is_of_kind(limit)) {
            self.refused_submissions
                .get_or_create_owned(&[("reason", reason)])
                .inc();
        }
        problem
    }
}

/// What was counted last, and until when that will do.
#[derive(Clone, Debug)]
pub struct KnownDepth {
    pub(super) until: Monotonic,
    /// Null while the database is away.
    pub(super) depth: Option<QueueDepth>,
}
