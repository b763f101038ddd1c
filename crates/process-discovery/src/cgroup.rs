//! The tree of control groups (v2). Owns the search in it; knows nothing about units.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::Host;

/// Maximum depth of the search, more than nested slices, a user's manager and the units of a container need.
const MAX_DEPTH: usize = 16;
/// Number of visited folders at which the search ends, more than a host with thousands of containers has.
const MAX_FOLDERS: usize = 100_000;

/// The number in `cgroup.procs` for a process in a pid namespace that is not visible from this one.
pub const OUTSIDE_NAMESPACE: u32 = 0;

/// Returns the root of the tree; `None` on a host with only cgroup v1.
pub fn tree(host: &Host) -> Option<PathBuf> {
    // The second folder is used beside controllers of v1.
    let places = [host.cgroup_root.clone(), host.cgroup_root.join("unified")];
    places
        .into_iter()
        .find(|place| place.join("cgroup.controllers").exists())
}

/// Returns the groups with this name at the highest level that has any; empty when there is none.
pub fn groups_named(tree: &Path, name: &str) -> Vec<PathBuf> {
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

/// Returns the processes in a group and those below it, with [`OUTSIDE_NAMESPACE`] for processes of other pid
/// namespaces.
///
/// # Errors
/// Returns an error when the list of the group itself cannot be read. Groups below it are skipped when they cannot be
/// read, since they may end at any time or contain only threads.
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
