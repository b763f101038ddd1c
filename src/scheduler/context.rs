use std::{path::PathBuf, sync::Arc, time::Duration};

use super::cluster::{Cluster, Node};
use super::digests::DigestCache;
use super::launch::Launcher;
use super::model_cache::ModelCache;
use super::rest::RestWatch;
use crate::energy::HostMeter;
use crate::measurement::Machine;
use crate::metrics::ExperimentMetrics;
use crate::progress::{Feed, ProgressBoard};
use crate::store::{Spool, Store};
use crate::trace::Traces;

/// Which engine a worker runs; the names are the worker command's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    Mistral,
    Synthetic,
}

impl EngineChoice {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mistral => "mistral",
            Self::Synthetic => "synthetic",
        }
    }
}

/// How long things may take before they count as failed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub load: Duration,
    /// Silence of a loaded worker.
    pub stall: Duration,
    pub experiment: Duration,
}

/// What every experiment's run shares.
#[derive(Clone)]
pub struct Context {
    pub store: Store,
    pub node: Arc<Node>,
    pub cluster: Cluster,
    /// Where ends of runs wait for the database; none when it is in memory.
    pub spool: Option<Spool>,
    pub meter: HostMeter,
    pub rest: RestWatch,
    pub launcher: Launcher,
    pub progress: ProgressBoard,
    pub feed: Feed,
    pub metrics: ExperimentMetrics,
    pub traces: Traces,
    pub limits: Limits,
    pub digests: DigestCache,
    /// This very binary, which is also the worker.
    pub program: PathBuf,
    pub models_dir: PathBuf,
    pub models: ModelCache,
    pub allow_hub: bool,
    pub allow_synthetic_engine: bool,
    /// Logical CPUs that ranks are pinned to.
    pub cpus: Arc<Vec<u32>>,
    pub machine: Arc<Machine>,
}
