use std::path::PathBuf;

use joulemark_meter::{CgroupCpuClock, pids_are_the_hosts};

use crate::cgroup::processes_in;
use crate::host::Host;
use crate::not_found::NotFound;
use crate::ownership::belongs;

/// The processes that serve an endpoint.
#[derive(Clone, Debug)]
pub struct Served {
    /// Roots: they and all that descends from them are the engine. Empty for a unit whose processes run in another pid
    /// namespace than this one.
    pub pids: Vec<u32>,
    /// For people to read, as in "unit vllm.service" or "who listens on port 8000".
    pub found_by: String,
    /// The CPU time of the unit, where it was found by one.
    pub unit_cpu: Option<CgroupCpuClock>,
    /// Reasons of the ways that were preferred and did not find it.
    pub passed_over: Vec<NotFound>,
    pub(crate) unit_group: Option<PathBuf>,
}

impl Served {
    /// Returns the processes below these roots.
    pub(crate) fn of_roots(pids: Vec<u32>, found_by: String) -> Self {
        Self {
            pids,
            found_by,
            unit_cpu: None,
            passed_over: Vec::new(),
            unit_group: None,
        }
    }

    /// Tells whether the process that a GPU's driver calls `pid` is the engine's: in its unit, or in the tree of one of
    /// its roots. Returns `None` where that cannot be known, as [`belongs_to`](crate::belongs_to) does.
    pub fn owns(&self, pid: u32) -> Option<bool> {
        self.owns_on(&Host::here(), pid)
    }

    pub(crate) fn owns_on(&self, host: &Host, pid: u32) -> Option<bool> {
        let is_in_unit = || {
            let listed = processes_in(self.unit_group.as_ref()?).ok()?;
            Some(listed.contains(&pid))
        };
        if pids_are_the_hosts(&host.proc_root.join("self/ns/pid")) && is_in_unit() == Some(true) {
            return Some(true);
        }
        belongs(host, &self.pids, pid)
    }
}
