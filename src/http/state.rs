use std::{path::PathBuf, sync::Arc};

use crate::energy::HostMeter;
use crate::scheduler::Scheduler;
use crate::store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub scheduler: Scheduler,
    pub meter: HostMeter,
    pub models_dir: Arc<PathBuf>,
    pub max_body_bytes: usize,
}
