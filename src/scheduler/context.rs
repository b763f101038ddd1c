use std::{path::PathBuf, sync::Arc, time::Duration};

use super::models::Models;
use crate::config::{ConfiguredEngines, Footprint};
use crate::engines::Engines;
use crate::metrics::ExperimentMetrics;
use crate::progress::{Feed, ProgressBoard};
use crate::scheduler::node::idle_baseline::IdleWatch;
use crate::scheduler::prompt_files::PromptFolder;
use crate::scheduler::queue::cluster::{Cluster, Node};
use crate::scheduler::run::digests::DigestCache;
use crate::scheduler::run::launch::Launcher;
use crate::trace::Traces;
use joulemark_measurement::Machine;
use joulemark_meter::HostMeter;
use joulemark_power_control::Controller;
use joulemark_store::{Spool, Store};

/// What one experiment may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub load: Duration,
    /// Silence of a loaded worker.
    pub stall: Duration,
    pub experiment: Duration,
    /// Prompts; 0 is no limit.
    pub max_prompts: u32,
    /// Tokens with all prompts, cycles and ranks; 0 is no limit.
    pub max_total_tokens: u64,
}

/// What the scheduler and the API both work with. Clones share it.
#[derive(Clone)]
pub struct Resources {
    pub store: Store,
    pub meter: HostMeter,
    pub models: Models,
    pub feed: Feed,
    pub traces: Traces,
}

/// What every experiment's run shares.
#[derive(Clone)]
pub struct Context {
    pub resources: Resources,
    pub node: Arc<Node>,
    pub cluster: Cluster,
    /// Where ends of runs wait for the database; none when it is in memory.
    pub spool: Option<Spool>,
    pub idle: IdleWatch,
    pub launcher: Launcher,
    pub progress: ProgressBoard,
    pub metrics: ExperimentMetrics,
    pub limits: Limits,
    pub digests: DigestCache,
    pub prompts: PromptFolder,
    pub engines: Engines,
    /// Engines that are servers, by name.
    pub servers: Arc<ConfiguredEngines>,
    /// Folder of the records of servers that were started, by which those are found that a killed keeper left.
    pub engine_records: PathBuf,
    /// This very program, which is also the worker of the synthetic engine.
    pub program: PathBuf,
    /// Whether the log has what workers print and say, which may quote a prompt.
    pub log_worker_output: bool,
    /// Logical CPUs that ranks are pinned to.
    pub cpus: Arc<Vec<u32>>,
    pub machine: Arc<Machine>,
    /// Root of the powercap tree.
    pub powercap: PathBuf,
    /// Who sets power limits and clocks; `None` for nobody.
    pub power: Option<Controller>,
    /// What electricity costs and emits here.
    pub footprint: Arc<Footprint>,
}
