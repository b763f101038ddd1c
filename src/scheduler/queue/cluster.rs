use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device_locks::LockFolder;
use crate::engines::EngineProblem;
use joulemark_experiment::{Capabilities, OfferedEngine};
use joulemark_store::NodeRecord;

/// This server as a node: fixed for its life.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// This life of it.
    pub incarnation: String,
    /// The lock that it holds for its name.
    pub seat: String,
    /// How long it and what it runs are believed in without a heartbeat.
    pub lease: Duration,
    /// How often an experiment may lose its server.
    pub max_attempts: u32,
    pub locks: LockFolder,
}

/// What this node has and, as of the last look, what the others are.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    own: Arc<Capabilities>,
    others: Arc<Vec<NodeRecord>>,
    /// Why models cannot be run here, as of the last look; `None` while they can.
    engine_problem: Option<EngineProblem>,
}

impl Cluster {
    pub fn new(own: Capabilities) -> Self {
        Self(Arc::new(Mutex::new(Known {
            own: Arc::new(own),
            others: Arc::new(Vec::new()),
            engine_problem: None,
        })))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn own(&self) -> Arc<Capabilities> {
        self.known().own.clone()
    }

    pub fn set_own(&self, capabilities: Capabilities) {
        self.known().own = Arc::new(capabilities);
    }

    /// Notes a file of prompts that was read here, so that what needs it does not wait for the next look at the folder.
    pub fn add_prompt_file(&self, name: &str) {
        let mut known = self.known();
        if !known.own.prompt_files.iter().any(|file| file == name) {
            let mut capabilities = (*known.own).clone();
            capabilities.prompt_files.push(name.to_owned());
            known.own = Arc::new(capabilities);
        }
    }

    /// Notes what the engines are, what keeps programs from being started, and why the one for models is. Returns whether
    /// that is news.
    pub fn set_engines(
        &self,
        engines: Vec<OfferedEngine>,
        problems: Vec<String>,
        problem: Option<EngineProblem>,
    ) -> bool {
        let mut known = self.known();
        if known.own.engines != engines || known.own.engine_problems != problems {
            let mut capabilities = (*known.own).clone();
            capabilities.set_engines(engines, problems);
            known.own = Arc::new(capabilities);
        }
        let is_news = known.engine_problem != problem;
        known.engine_problem = problem;
        is_news
    }

    /// Notes why no power limits and clocks are set here; `None` where they are. Returns whether that is news.
    pub fn set_power_problem(&self, problem: Option<String>) -> bool {
        let mut known = self.known();
        let is_news = known.own.host.power_problem != problem;
        if is_news {
            let mut capabilities = (*known.own).clone();
            capabilities.host.power_problem = problem;
            known.own = Arc::new(capabilities);
        }
        is_news
    }

    /// Why models cannot be run here, as of the last look.
    pub fn engine_problem(&self) -> Option<EngineProblem> {
        self.known().engine_problem.clone()
    }

    /// Live nodes other than this one.
    pub fn others(&self) -> Arc<Vec<NodeRecord>> {
        self.known().others.clone()
    }

    /// `nodes` are all that the database knows.
    pub fn set_nodes(&self, nodes: Vec<NodeRecord>, own_name: &str) {
        let others = nodes.into_iter().filter(|node| node.is_live && node.name != own_name);
        self.known().others = Arc::new(others.collect());
    }
}
