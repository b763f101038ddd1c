//! The state that handlers share.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::live_lines::LiveLines;
use super::long_lived::{Exports, Streams};
use super::metrics::own::Metrics;
use super::problem::Problem;
use super::readiness::{Readiness, SharedCheck};
use crate::callback::Allowed;
use crate::disk::Disk;
use crate::scheduler::{Resources, Scheduler};
use joulemark_store::Shares;

/// The state that all handlers share.
#[derive(Clone)]
pub struct AppState {
    pub resources: Resources,
    pub scheduler: Scheduler,
    pub access: Arc<Access>,
    /// Permits of concurrent requests.
    pub places: Shares,
    pub streams: Streams,
    /// URLs that may be called back; `None` if none may.
    pub callbacks: Option<Allowed>,
    pub exports: Exports,
    pub readiness: Arc<SharedCheck<Result<Readiness, Problem>>>,
    /// Disks that the server writes to; none for a remote database.
    pub disks: Arc<[Disk]>,
    /// The SQLite file; `None` for Postgres and for a database in memory.
    pub database_file: Option<Arc<Path>>,
    /// Cancelled when the server stops; streams and waiting requests then end.
    pub stopping: CancellationToken,
    pub metrics: Metrics,
    pub live_lines: LiveLines,
}
