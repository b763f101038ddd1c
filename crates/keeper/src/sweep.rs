//! Ends the processes left by keepers that were killed. The kernel kills an engine with its keeper, but processes that
//! the engine started may live on.

mod owned_processes;

use std::io;
use std::path::Path;
use std::time::Duration;

use joulemark_files::private_folder;
use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::Signal;

use crate::cgroup::Cgroup;
use crate::process::Process;
use crate::record::{Record, boot_id, keeper_of, remove_file};

use owned_processes::{ObservedProcess, owned_processes};

/// Maximum time spent on one engine's processes. A process that waits for a device dies only when that answers.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two searches.
const PAUSE: Duration = Duration::from_millis(5);
/// Number of consecutive searches that must find nothing. A process shows no environment for a moment while it executes
/// another program.
const EMPTY_SEARCHES: u32 = 2;

/// The processes that a sweep found: pids and program names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub killed: Vec<(u32, String)>,
    /// Processes that still ran 10 seconds after the first SIGKILL, or belong to another user. Their record is left for
    /// the next sweep.
    pub left: Vec<(u32, String)>,
}

/// Kills the remaining processes of every engine whose keeper died without ending it, waits until they are dead, and
/// removes the records. A process that is not certain to belong to an engine is left alone. Records of an earlier boot
/// are removed without a search.
///
/// # Errors
/// Returns the error of the operating system, and an error when other users can write to the folder.
pub fn sweep(record_dir: &Path) -> io::Result<Swept> {
    private_folder(record_dir)?;
    let boot_id = boot_id()?;
    let mut swept = Swept::default();
    for entry in std::fs::read_dir(record_dir)? {
        let path = entry?.path();
        let Some(keeper) = keeper_of(&path) else { continue };
        let record = Record::read(&path);
        let is_of_another_boot = record.as_ref().is_some_and(|record| record.boot_id != boot_id);
        if !is_of_another_boot && keeper.is_alive() {
            continue;
        }
        if let Some(record) = record.filter(|_| !is_of_another_boot) {
            let left = end(&record, &mut swept.killed);
            if !left.is_empty() {
                swept.left.extend(left);
                continue;
            }
        }
        remove_file(&path)?;
    }
    Ok(swept)
}

/// Kills the processes of one engine. Returns those that could not be killed.
fn end(record: &Record, killed: &mut Vec<(u32, String)>) -> Vec<(u32, String)> {
    let cgroup = record.cgroup.clone().map(Cgroup::existing);
    let start = Monotonic::now();
    let mut empty_searches = 0;
    loop {
        let members = cgroup.as_ref().map(Cgroup::members).unwrap_or_default();
        let found = owned_processes(record, &ObservedProcess::all(), &members);
        empty_searches = if found.is_empty() { empty_searches + 1 } else { 0 };
        if empty_searches == EMPTY_SEARCHES {
            break;
        }
        let described = |process: &Process| (process.identity.pid, process.name.clone());
        for process in &found {
            let is_killed = process.signal(Signal::SIGKILL).is_ok();
            if is_killed && !killed.contains(&described(process)) {
                killed.push(described(process));
            }
        }
        if let Some(cgroup) = &cgroup {
            cgroup.kill();
        }
        if Monotonic::now().sec_since(start) > KILL_TIMEOUT.as_secs_f64() {
            return found.iter().map(described).collect();
        }
        std::thread::sleep(PAUSE);
    }
    if let Some(cgroup) = cgroup {
        cgroup.remove();
    }
    Vec::new()
}
