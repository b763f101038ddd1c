//! Data and handles that all parts of the scheduler share.

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

/// Timeouts and size limits of one experiment.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time to load the models.
    pub load: Duration,
    /// Time without a report from a loaded worker.
    pub stall: Duration,
    /// Time from start to end.
    pub experiment: Duration,
    /// Maximum number of prompts; 0 for no limit.
    pub max_prompts: u32,
    /// Maximum number of tokens over all prompts, cycles and ranks; 0 for no limit.
    pub max_total_tokens: u64,
}

/// Handles that the scheduler and the API share. Clones refer to the same data.
#[derive(Clone)]
pub struct Resources {
    pub store: Store,
    pub meter: HostMeter,
    pub models: Models,
    pub feed: Feed,
    pub traces: Traces,
}

/// Everything that the runs of all experiments share.
#[derive(Clone)]
pub struct Context {
    pub resources: Resources,
    pub node: Arc<Node>,
    pub cluster: Cluster,
    /// Spool in which the ends of runs wait for the database; `None` when the database is in memory.
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
    /// Folder with a record of each server that was started, by which servers that a killed process left behind are
    /// found.
    pub engine_records: PathBuf,
    /// Path of this program, which is also the worker of the synthetic engine.
    pub program: PathBuf,
    /// Whether the log includes the output and messages of workers, which may quote a prompt.
    pub log_worker_output: bool,
    /// Logical CPUs that ranks are pinned to.
    pub cpus: Arc<Vec<u32>>,
    pub machine: Arc<Machine>,
    /// Root of the powercap tree.
    pub powercap: PathBuf,
    /// Controller that sets power limits and clocks; `None` when power control is off.
    pub power: Option<Controller>,
    /// Price and carbon intensity of electricity here.
    pub footprint: Arc<Footprint>,
}
