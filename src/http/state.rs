use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::lasting_places::{Exports, Streams};
use super::metrics::own::Metrics;
use super::problem::Problem;
use super::readiness::{Readiness, Rounds};
use crate::callback::Allowed;
use crate::disk::Disk;
use crate::scheduler::{Resources, Scheduler};
use joulemark_store::Shares;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub resources: Resources,
    pub scheduler: Scheduler,
    pub access: Arc<Access>,
    /// Of requests that are answered.
    pub places: Shares,
    pub streams: Streams,
    /// Who may be called back; none where nobody may.
    pub callbacks: Option<Allowed>,
    pub exports: Exports,
    pub readiness: Arc<Rounds<Result<Readiness, Problem>>>,
    /// Where the server writes; none of a database elsewhere.
    pub disks: Arc<[Disk]>,
    /// The SQLite file; `None` for Postgres and for a database in memory.
    pub database_file: Option<Arc<Path>>,
    /// Cancelled when the server is to stop: whoever stays is let go.
    pub stopping: CancellationToken,
    pub metrics: Metrics,
}
