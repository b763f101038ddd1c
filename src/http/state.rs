use std::sync::Arc;

use super::access::Access;
use super::experiments::UnderWay;
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
    pub access: Arc<Access>,
    pub submitting: Arc<UnderWay>,
}
