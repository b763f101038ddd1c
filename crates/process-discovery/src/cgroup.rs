//! The tree of control groups (v2). Owns the walk through it; deliberately does not know units.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// More than slices, a user's manager and a container's own units nest.
const MAX_DEPTH: usize = 16;
/// A host of thousands of containers has fewer.
const MAX_FOLDERS: usize = 100_000;

/// Stands in `cgroup.procs` for a process of a pid namespace that is not seen from here.
pub const UNSEEN: u32 = 0;

/// Returns where the tree begins; `None` on a host with cgroup v1 alone.
pub fn tree(host: &Host) -> Option<PathBuf> {
    // The second one stands beside controllers of v1.
    let places = [host.cgroup_root.clone(), host.cgroup_root.join("unified")];
    places
        .into_iter()
        .find(|place| place.join("cgroup.controllers").exists())
}

/// Returns the groups called `name` that lie highest in the tree, none where there is no such group.
pub fn groups_called(tree: &Path, name: &str) -> Vec<PathBuf> {
    let mut level = vec![tree.to_owned()];
    let mut visited = 0;
    for _ in 0..MAX_DEPTH {
        let below: Vec<PathBuf> = level.iter().flat_map(|group| children(group)).collect();
        visited += below.len();
        let is_called = |group: &PathBuf| group.file_name() == Some(OsStr::new(name));
        let (mut found, others): (Vec<_>, Vec<_>) = below.into_iter().partition(is_called);
        if !found.is_empty() || others.is_empty() || visited > MAX_FOLDERS {
            found.sort();
            return found;
        }
        level = others;
    }
    Vec::new()
}

/// Returns the processes in a group and in those below it, with [`UNSEEN`] for those that are not seen from here.
///
/// # Errors
/// Returns an error when the list of the group itself cannot be read. One below it may end at any moment, or hold threads
/// of processes that are listed above it.
pub fn processes_in(group: &Path) -> io::Result<BTreeSet<u32>> {
    let list = |group: &Path| -> io::Result<Vec<u32>> {
        let text = std::fs::read_to_string(group.join("cgroup.procs"))?;
        Ok(text.lines().flat_map(str::parse).collect())
    };
    let mut processes: BTreeSet<u32> = list(group)?.into_iter().collect();
    let mut level = children(group);
    for _ in 0..MAX_DEPTH {
        processes.extend(level.iter().flat_map(|group| list(group).unwrap_or_default()));
        level = level.iter().flat_map(|group| children(group)).collect();
    }
    Ok(processes)
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
