use std::{path::PathBuf, sync::Arc};

use crate::energy::HostMeter;
use crate::experiment::Host;
use crate::scheduler::Scheduler;
use crate::store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub scheduler: Scheduler,
    pub meter: HostMeter,
    /// What a submission is checked against.
    pub host: Arc<Host>,
    pub models_dir: Arc<PathBuf>,
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    pub max_body_bytes: usize,
}
