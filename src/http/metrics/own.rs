use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::requests::RequestMetrics;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::QueueDepth;

/// What HTTP itself counts, and what a scrape remembers for the next one.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub requests: RequestMetrics,
    pub started_at: Timestamp,
    pub(super) depth: Arc<Mutex<Option<KnownDepth>>>,
}

impl Metrics {
    /// Of a server that starts now.
    pub fn start() -> Self {
        Self {
            requests: RequestMetrics::default(),
            started_at: clock::wall_now(),
            depth: Arc::default(),
        }
    }
}

/// What was counted last, and until when that will do.
#[derive(Clone, Debug)]
pub struct KnownDepth {
    pub(super) until: Monotonic,
    /// Null while the database is away.
    pub(super) depth: Option<QueueDepth>,
}
