//! Sums the CPU time in seconds of a process and of everything it started.
//!
//! Owns the set of processes in the tree, as far as they were seen, and the CPU time of those that ended. Leaves the
//! times of reading to its users.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::cpu_time::{CpuTimeError, process_cpu_sec};
use super::process_stat::ProcessStat;

/// A process and its descendants.
///
/// A descendant that started and ended between two searches is counted in ticks of 10 ms once its parent has waited for
/// it. One that leaves its parent stays in the tree.
#[derive(Debug)]
pub struct ProcessTree {
    root: u32,
    descendants: BTreeMap<u32, Member>,
    /// CPU seconds of descendants that were seen and have ended.
    ended_sec: f64,
    /// CPU seconds of descendants that ended and were waited for, as their parents reported at the last search.
    waited_for_sec: f64,
    /// Sum that was returned last. It never falls.
    total_sec: f64,
}

/// A descendant that was seen.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Start time, which distinguishes it from a later process with the same id.
    started_ticks: u64,
    /// CPU seconds at its last reading.
    cpu_sec: f64,
}

impl ProcessTree {
    /// Creates the tree of process `root`, without descendants.
    ///
    /// # Errors
    /// Returns an error when there is no such process.
    pub fn new(root: u32) -> Result<Self, CpuTimeError> {
        process_cpu_sec(root)?;
        Ok(Self {
            root,
            descendants: BTreeMap::new(),
            ended_sec: 0.0,
            waited_for_sec: 0.0,
            total_sec: 0.0,
        })
    }

    /// Finds processes that were started or waited for since the last search, at any depth. Reads a file for each
    /// thread of each process, so it is too costly for every sweep.
    pub fn look_for_descendants(&mut self) {
        let mut waited_for_sec = stat_of(self.root).map_or(0.0, |stat| stat.children_sec);
        self.retain(|pid, member| match stat_of(pid) {
            Some(stat) if stat.started_ticks == member.started_ticks => {
                waited_for_sec += stat.children_sec;
                true
            }
            _ => false,
        });
        self.waited_for_sec = waited_for_sec;
        let mut parents = vec![self.root];
        parents.extend(self.descendants.keys());
        while let Some(parent) = parents.pop() {
            for child in children_of(parent) {
                let Some(stat) = stat_of(child).filter(|_| !self.descendants.contains_key(&child)) else {
                    continue;
                };
                let member = Member {
                    started_ticks: stat.started_ticks,
                    cpu_sec: 0.0,
                };
                self.descendants.insert(child, member);
                parents.push(child);
            }
        }
    }

    /// Returns the CPU seconds that all processes of the tree have used so far.
    ///
    /// # Errors
    /// Returns an error when the root has ended. The last sum stays valid.
    pub fn cpu_sec(&mut self) -> Result<f64, CpuTimeError> {
        let root_sec = process_cpu_sec(self.root)?;
        let mut living_sec = 0.0;
        self.retain(|pid, member| {
            let Ok(sec) = process_cpu_sec(pid) else { return false };
            member.cpu_sec = member.cpu_sec.max(sec);
            living_sec += member.cpu_sec;
            true
        });
        // Two figures for the ended ones: what was seen of them, and what their parents report in ticks. The larger
        // counts.
        let total_sec = root_sec + living_sec + self.ended_sec.max(self.waited_for_sec);
        self.total_sec = self.total_sec.max(total_sec);
        Ok(self.total_sec)
    }

    /// Returns the root and the descendants that were alive at the last search.
    pub fn pids(&self) -> Vec<u32> {
        [self.root]
            .into_iter()
            .chain(self.descendants.keys().copied())
            .collect()
    }

    /// Drops the descendants for which `lives` returns false, and adds their last readings to `ended_sec`.
    fn retain(&mut self, mut lives: impl FnMut(u32, &mut Member) -> bool) {
        let ended_sec = &mut self.ended_sec;
        self.descendants.retain(|pid, member| {
            let stays = lives(*pid, member);
            if !stays {
                *ended_sec += member.cpu_sec;
            }
            stays
        });
    }
}

/// The kernel's own folder, because the CPU clocks that are read are those of its processes.
const PROC: &str = "/proc";

/// Returns the state of a process; `None` when it has ended.
fn stat_of(pid: u32) -> Option<ProcessStat> {
    ProcessStat::read(Path::new(PROC), pid).ok()
}

/// Returns the children of a process. Empty on a kernel without CONFIG_PROC_CHILDREN, where ended ones still count
/// through their parent.
fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(Path::new(PROC).join(pid.to_string()).join("task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<u32>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell that waits for what `script` started. It is killed at the end of the test.
    struct Shell(Child);

    impl Shell {
        fn running(script: &str) -> Self {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::piped());
            Self(command.spawn().expect("a shell"))
        }

        fn tree(&self) -> ProcessTree {
            ProcessTree::new(self.0.id()).expect("it runs")
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            for pid in children_of(self.0.id()) {
                let pid = nix::unistd::Pid::from_raw(pid as i32);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn looked_sec(tree: &mut ProcessTree) -> f64 {
        tree.look_for_descendants();
        tree.cpu_sec().expect("its root lives")
    }

    fn until(tree: &mut ProcessTree, sec: f64) {
        while looked_sec(tree) < sec {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    #[test]
    fn what_a_child_computes_counts_for_its_tree() {
        let shell = Shell::running("(while :; do :; done) & wait");
        let mut tree = shell.tree();
        until(&mut tree, 0.1);
        let root_sec = process_cpu_sec(shell.0.id()).expect("its clock");
        assert!(root_sec < 0.05, "the shell itself only waits: {root_sec}");
    }

    #[test]
    fn what_ended_is_still_counted_whether_it_was_seen_or_not() {
        let burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let shell = Shell::running(&format!("({burn}) ; ({burn}) ; read forever"));
        // Not seen: known from the shell, which waited for them.
        let mut unseen = shell.tree();
        let mut seen = shell.tree();
        let mut last = 0.0;
        let mut both = (0.0, 0.0);
        for _ in 0..400 {
            let now = looked_sec(&mut seen);
            assert!(now >= last, "it never falls: {now} after {last}");
            last = now;
            unseen.descendants.clear();
            both = (now, looked_sec(&mut unseen));
            if children_of(shell.0.id()).is_empty() && both.1 > 0.05 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let (seen_sec, unseen_sec) = both;
        assert!(
            seen_sec > 0.0 && (seen_sec - unseen_sec).abs() < 0.05,
            "{seen_sec} {unseen_sec}"
        );
    }

    #[test]
    fn a_tree_whose_root_is_gone_returns_an_error() {
        let mut child = Command::new("true").spawn().expect("a child");
        let pid = child.id();
        let mut tree = ProcessTree::new(pid).expect("it runs, or is a zombie");
        child.wait().expect("its end");
        assert!(matches!(tree.cpu_sec(), Err(CpuTimeError::ProcessGone(_))));
        assert!(ProcessTree::new(pid).is_err());
    }
}
