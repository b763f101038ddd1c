use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::concurrency_limit::{Exports, Streams};
use super::metrics::own::Metrics;
use crate::callback::Allowed;
use crate::disk::Disk;
use crate::scheduler::{Resources, Scheduler};

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub resources: Resources,
    pub scheduler: Scheduler,
    pub access: Arc<Access>,
    pub streams: Streams,
    /// Who may be called back; none where nobody may.
    pub callbacks: Option<Allowed>,
    pub exports: Exports,
    /// Where the server writes; none of a database elsewhere.
    pub disks: Arc<[Disk]>,
    /// The SQLite file; `None` for Postgres and for a database in memory.
    pub database_file: Option<Arc<Path>>,
    /// Cancelled when the server is to stop: whoever stays is let go.
    pub stopping: CancellationToken,
    pub metrics: Metrics,
}
