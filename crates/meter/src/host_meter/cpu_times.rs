//! Reads the CPU time of the host and of the followed processes into the timeline.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::time::Duration;

use super::beat::Beat;
use super::lock::lock;
use crate::cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock};
use crate::estimation::timeline::Timeline;
use crate::process_tree::ProcessTree;
use joulemark_measurement::clock::Monotonic;

/// Finding what processes started reads a file a thread: at every sweep it would cost more than the sweep. What comes
/// and goes in between is still known from its parent.
const BETWEEN_FAMILY_LOOKS: Duration = Duration::from_secs(1);

/// The clock of the host, and the processes whose CPU time is followed with all that they start.
pub struct CpuTimes {
    host: Option<HostCpuClock>,
    trees: HashMap<u32, ProcessTree>,
    /// The clocks of those that are followed by their cgroup.
    groups: HashMap<u32, CgroupCpuClock>,
    /// When the trees' descendants are looked for again.
    families: Beat,
}

impl CpuTimes {
    pub fn new(host: Option<HostCpuClock>) -> Self {
        Self {
            host,
            trees: HashMap::new(),
            groups: HashMap::new(),
            families: Beat::starting_at_once(),
        }
    }

    /// Follows `pid` by its cgroup from now on.
    pub fn follow_group(&mut self, pid: u32, group: CgroupCpuClock) {
        self.groups.insert(pid, group);
    }

    /// Lists a followed process and what it has started, as far as it lives; empty where it is not followed by its tree.
    pub fn family(&mut self, pid: u32) -> Vec<u32> {
        self.trees.get_mut(&pid).map_or_else(Vec::new, |tree| {
            tree.look_for_descendants();
            tree.pids()
        })
    }

    /// Reads them all once.
    pub fn sweep(&mut self, timeline: &Mutex<Timeline>, edge: bool) {
        let tracked = lock(timeline).tracked();
        self.trees.retain(|pid, _| tracked.contains(pid));
        self.groups.retain(|pid, _| tracked.contains(pid));
        let look = self.families.is_due(BETWEEN_FAMILY_LOOKS) || edge;
        for pid in tracked {
            let cpu_sec = match self.groups.get(&pid) {
                Some(group) => group.used_sec(),
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
