use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::concurrency_limit::{Exports, Streams};
use super::metrics::own::Metrics;
use crate::callback::Allowed;
use crate::progress::Feed;
use crate::scheduler::{Models, Scheduler};
use crate::trace::Traces;
use joulemark_meter::HostMeter;
use joulemark_store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub scheduler: Scheduler,
    pub meter: HostMeter,
    pub models: Models,
    pub access: Arc<Access>,
    pub feed: Feed,
    pub streams: Streams,
    /// Who may be called back; none where nobody may.
    pub callbacks: Option<Allowed>,
    pub exports: Exports,
    /// Cancelled when the server is to stop: whoever stays is let go.
    pub stopping: CancellationToken,
    pub metrics: Metrics,
    pub traces: Traces,
}
