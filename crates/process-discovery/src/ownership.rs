use std::io;

use joulemark_meter::pids_are_the_hosts;

use crate::host::Host;
use crate::processes::{MAX_DEPTH, parent_of};

/// Tells whether the process that a GPU's driver calls `pid` is one of `roots` or descends from one of them.
///
/// The driver numbers processes as the host does. Returns `None` in a container with a pid namespace of its own: `NSpid`
/// in `/proc/<pid>/status` begins with the number in the reader's namespace and goes inwards from there, so that it never
/// tells the host's. Returns `None` also for a process that has ended or is hidden from this user. Returns false for one
/// that left the tree, its parent having ended before it.
pub fn belongs_to(roots: &[u32], pid: u32) -> Option<bool> {
    belongs(&Host::here(), roots, pid)
}

/// Does what [`belongs_to`] does, on `host`.
pub fn belongs(host: &Host, roots: &[u32], pid: u32) -> Option<bool> {
    if !pids_are_the_hosts(&host.proc_root.join("self/ns/pid")) {
        return None;
    }
    let mut current = pid;
    for _ in 0..MAX_DEPTH {
        if roots.contains(&current) {
            // A root that has ended is no engine any more, and its number may be another's by now.
            return parent_of(host, current).is_ok().then_some(true);
        }
        current = match parent_of(host, current) {
            Ok(0) => return Some(false),
            Ok(parent) => parent,
            // Only who was asked for: an ancestor may end at any moment, and its child is then another's.
            Err(error) if current != pid && error.kind() == io::ErrorKind::NotFound => return Some(false),
            Err(_) => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::fixtures::{FakeHost, forks_alone};

    #[test]
    fn descendants_are_the_engine_s_and_others_are_not() {
        let fake = FakeHost::new();
        for (pid, parent) in [(1, 0), (100, 1), (110, 100), (111, 110), (200, 1)] {
            fake.process(pid, "python3", parent);
        }
        let belongs = |pid| belongs(&fake.host(), &[100], pid);
        assert_eq!(
            [100, 111, 200, 1].map(belongs),
            [Some(true), Some(true), Some(false), Some(false)]
        );
        assert_eq!(belongs(999), None, "ended, or hidden");
    }

    #[test]
    fn nothing_is_known_where_the_driver_numbers_processes_otherwise() {
        let fake = FakeHost::new();
        fake.process(100, "python3", 1);
        fake.pid_namespace("pid:[4026532201]");
        assert_eq!(belongs(&fake.host(), &[100], 100), None);
    }

    #[test]
    fn a_child_of_this_process_is_its_own() {
        let _alone = forks_alone();
        if !pids_are_the_hosts("/proc/self/ns/pid".as_ref()) {
            return;
        }
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("a child");
        let me = std::process::id();
        assert_eq!(belongs_to(&[me], child.id()), Some(true));
        assert_eq!(belongs_to(&[child.id()], me), Some(false));
        child.kill().expect("it runs");
        child.wait().expect("its end");
        assert_eq!(belongs_to(&[me], child.id()), None);
    }
}
