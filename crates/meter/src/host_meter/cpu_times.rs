//! Reads the CPU time of the host and of the tracked processes into the timeline.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use super::lock::lock;
use super::periodic::Periodic;
use crate::cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock};
use crate::estimation::timeline::Timeline;
use crate::process_tree::ProcessTree;
use joulemark_measurement::clock::Monotonic;

/// Interval at which descendants of tracked processes are searched. A search reads a file for each thread, which would
/// cost more than a sweep. A process that starts and ends in between is counted through its parent.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);

/// The clock of the host, and the processes whose CPU time is tracked with their descendants.
pub struct CpuTimes {
    host: Option<HostCpuClock>,
    trees: HashMap<u32, ProcessTree>,
    /// Clocks of the processes that are tracked by their cgroup.
    cgroups: HashMap<u32, CgroupCpuClock>,
    /// Schedule of the search for descendants.
    searches: Periodic,
}

impl CpuTimes {
    /// Creates the clocks, with no process tracked.
    pub fn new(host: Option<HostCpuClock>) -> Self {
        Self {
            host,
            trees: HashMap::new(),
            cgroups: HashMap::new(),
            searches: Periodic::starting_now(),
        }
    }

    /// Tracks `pid` by its cgroup from now on.
    pub fn track_cgroup(&mut self, pid: u32, cgroup: CgroupCpuClock) {
        self.cgroups.insert(pid, cgroup);
    }

    /// Returns a tracked process and its living descendants; empty when its tree is not tracked.
    pub fn process_tree(&mut self, pid: u32) -> Vec<u32> {
        self.trees.get_mut(&pid).map_or_else(Vec::new, |tree| {
            tree.look_for_descendants();
            tree.pids()
        })
    }

    /// Reads all clocks once and stores their values in the timeline.
    pub fn sweep(&mut self, timeline: &Mutex<Timeline>, edge: bool) {
        let tracked = lock(timeline).tracked();
        self.trees.retain(|pid, _| tracked.contains(pid));
        self.cgroups.retain(|pid, _| tracked.contains(pid));
        let look = self.searches.is_due(BETWEEN_SEARCHES) || edge;
        for pid in tracked {
            let cpu_sec = match self.cgroups.get(&pid) {
                Some(cgroup) => cgroup.used_sec(),
                None => self.tree_cpu_sec(pid, look),
            };
            let mut timeline = lock(timeline);
            match cpu_sec {
                Ok(cpu_sec) => timeline.record_process_cpu(pid, Monotonic::now(), cpu_sec, edge),
                Err(_) => timeline.untrack(pid),
            }
        }
        let busy = self.host.as_ref().map(HostCpuClock::busy_sec);
        let (mut timeline, now) = (lock(timeline), Monotonic::now());
        if let Some(Ok(busy_sec)) = busy {
            timeline.record_host_cpu(now, busy_sec, edge);
        }
        timeline.note_sweep(now);
    }

    /// Returns the CPU seconds of a process tree, after a search for descendants where `look` asks for it.
    fn tree_cpu_sec(&mut self, pid: u32, look: bool) -> Result<f64, CpuTimeError> {
        let (tree, look) = match self.trees.entry(pid) {
            Entry::Occupied(known) => (known.into_mut(), look),
            Entry::Vacant(new) => (new.insert(ProcessTree::new(pid)?), true),
        };
        if look {
            tree.look_for_descendants();
        }
        tree.cpu_sec()
    }
}
