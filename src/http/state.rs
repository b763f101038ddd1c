use std::sync::Arc;

use crate::energy::HostMeter;
use crate::experiment::Host;
use crate::scheduler::{ModelCache, Scheduler};
use crate::store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub scheduler: Scheduler,
    pub meter: HostMeter,
    /// What a submission is checked against.
    pub host: Arc<Host>,
    pub models: ModelCache,
    pub max_body_bytes: usize,
}
