use std::{path::PathBuf, sync::Arc};

use super::access::Access;
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
    pub access: Arc<Access>,
    /// Held from counting what there is until one more is stored, so that no limit is passed by many at once.
    pub submitting: Arc<tokio::sync::Mutex<()>>,
}
