//! This node and the other live nodes, with their capabilities.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::device_locks::LockFolder;
use crate::engines::EngineProblem;
use joulemark_experiment::{Capabilities, OfferedEngine};
use joulemark_store::NodeRecord;

/// This server as a node. Does not change while the server runs.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// Identifier of this start of the server.
    pub incarnation: String,
    /// Identifier of the lock that this server holds for its name.
    pub seat: String,
    /// Time after the last heartbeat for which the node and its experiments count as live.
    pub lease: Duration,
    /// Number of attempts after which an experiment fails when its server is lost again.
    pub max_attempts: u32,
    pub locks: LockFolder,
}

/// The capabilities of this node, and the other live nodes as last read. Clones share them.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    own: Arc<Capabilities>,
    others: Arc<Vec<NodeRecord>>,
    /// Reason why the mistral.rs engine cannot be started, as last checked; `None` when it can be.
    engine_problem: Option<EngineProblem>,
}

impl Cluster {
    /// Creates a cluster that consists of this node.
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

    /// Returns this node's capabilities.
    pub fn own(&self) -> Arc<Capabilities> {
        self.known().own.clone()
    }

    /// Replaces this node's capabilities.
    pub fn set_own(&self, capabilities: Capabilities) {
        self.known().own = Arc::new(capabilities);
    }

    /// Adds a prompt file that was just read to the capabilities, ahead of the next listing of the folder.
    pub fn add_prompt_file(&self, name: &str) {
        let mut known = self.known();
        if !known.own.prompt_files.iter().any(|file| file == name) {
            let mut capabilities = (*known.own).clone();
            capabilities.prompt_files.push(name.to_owned());
            known.own = Arc::new(capabilities);
        }
    }

    /// Stores the engines, the problems of engine programs, and the problem of the mistral.rs engine. Returns whether
    /// that last problem has changed.
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

    /// Stores why power limits and clocks cannot be set here; `None` when they can be. Returns whether that has
    /// changed.
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

    /// Returns why the mistral.rs engine cannot be started, as last checked; `None` when it can be.
    pub fn engine_problem(&self) -> Option<EngineProblem> {
        self.known().engine_problem.clone()
    }

    /// Returns the live nodes other than this one.
    pub fn others(&self) -> Arc<Vec<NodeRecord>> {
        self.known().others.clone()
    }

    /// Stores which nodes are live, from all nodes in the database.
    pub fn set_nodes(&self, nodes: Vec<NodeRecord>, own_name: &str) {
        let others = nodes.into_iter().filter(|node| node.is_live && node.name != own_name);
        self.known().others = Arc::new(others.collect());
    }
}
