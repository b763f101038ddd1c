use std::collections::BTreeSet;
use std::io;

use joulemark_meter::ProcessStat;

use crate::host::Host;

/// Maximum depth of a process tree. Ends the walk when pids are reused during it and form a cycle.
pub const MAX_DEPTH: usize = 256;

/// Reads the `stat` file of a process.
pub fn stat_of(host: &Host, pid: u32) -> io::Result<ProcessStat> {
    ProcessStat::read(&host.proc_root, pid)
}

/// Returns the parent of a process; 0 when the parent is in another pid namespace.
pub fn parent_of(host: &Host, pid: u32) -> io::Result<u32> {
    stat_of(host, pid).map(|stat| stat.parent)
}

/// Returns the processes in `pids` that have no ancestor among them.
pub fn topmost(host: &Host, pids: &BTreeSet<u32>) -> Vec<u32> {
    let descends = |pid: u32| {
        let ancestors = std::iter::successors(parent_of(host, pid).ok(), |pid| parent_of(host, *pid).ok());
        ancestors
            .take(MAX_DEPTH)
            .any(|ancestor| ancestor != pid && pids.contains(&ancestor))
    };
    pids.iter().copied().filter(|pid| !descends(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::FakeHost;

    #[test]
    fn ancestors_are_found_across_missing_generations() {
        let fake = FakeHost::new();
        for (pid, parent) in [(100, 1), (110, 100), (111, 110), (200, 1)] {
            fake.process(pid, "python3", parent);
        }
        assert_eq!(topmost(&fake.host(), &[111, 100, 200].into()), [100, 200]);
        assert_eq!(topmost(&fake.host(), &[111, 110].into()), [110]);
    }

    #[test]
    fn a_cycle_of_parents_ends() {
        let fake = FakeHost::new();
        fake.process(100, "a", 110);
        fake.process(110, "b", 100);
        assert_eq!(topmost(&fake.host(), &[100].into()), [100]);
        assert_eq!(topmost(&fake.host(), &[110, 999].into()), [110, 999]);
    }
}
