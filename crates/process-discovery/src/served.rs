use std::path::PathBuf;

use joulemark_meter::CgroupCpuClock;

use crate::cgroup::{OUTSIDE_NAMESPACE, processes_in};
use crate::not_found::NotFound;

/// The processes that serve an endpoint.
#[derive(Clone, Debug)]
pub struct Served {
    /// The root processes: the engine consists of them and their descendants. Empty for a unit whose processes are in
    /// another pid namespace.
    pub pids: Vec<u32>,
    /// A description for people, such as "unit vllm.service" or "the listener on port 8000".
    pub found_by: String,
    /// The CPU time of the unit; `None` when the engine was not found by a unit, or the time cannot be read.
    pub unit_cpu: Option<CgroupCpuClock>,
    /// The reasons why preferred ways did not find the engine.
    pub passed_over: Vec<NotFound>,
    /// The cgroup of the unit; `None` when the engine was not found by a unit.
    pub(crate) unit_group: Option<PathBuf>,
}

impl Served {
    /// Returns the engine with these root processes.
    pub(crate) fn of_roots(pids: Vec<u32>, found_by: String) -> Self {
        Self {
            pids,
            found_by,
            unit_cpu: None,
            passed_over: Vec::new(),
            unit_group: None,
        }
    }

    /// Returns the processes that are in the unit now and visible from this pid namespace; empty when the engine was
    /// not found by a unit.
    pub fn in_unit(&self) -> Vec<u32> {
        let listed = self.unit_group.as_ref().and_then(|group| processes_in(group).ok());
        listed
            .unwrap_or_default()
            .into_iter()
            .filter(|pid| *pid != OUTSIDE_NAMESPACE)
            .collect()
    }
}
