use crate::energy::HostMeter;
use crate::scheduler::{ModelCache, Scheduler};
use crate::store::Store;

/// What the handlers share.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub scheduler: Scheduler,
    pub meter: HostMeter,
    pub models: ModelCache,
    pub max_body_bytes: usize,
}
