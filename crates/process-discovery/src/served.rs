use std::path::PathBuf;

use joulemark_meter::CgroupCpuClock;

use crate::cgroup::{UNSEEN, processes_in};
use crate::not_found::NotFound;

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

    /// Lists what runs in the unit just now, as far as it is seen from here; empty where it was not found by one.
    pub fn in_unit(&self) -> Vec<u32> {
        let listed = self.unit_group.as_ref().and_then(|group| processes_in(group).ok());
        listed
            .unwrap_or_default()
            .into_iter()
            .filter(|pid| *pid != UNSEEN)
            .collect()
    }
}
