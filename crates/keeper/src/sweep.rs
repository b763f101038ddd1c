//! Ends what keepers left that were killed themselves. Their engines died with them by the kernel's own doing, and what
//! those had started may live on.

mod belonging;

use std::io;
use std::path::Path;
use std::time::Duration;

use joulemark_files::private_folder;
use joulemark_measurement::clock::Monotonic;
use nix::sys::signal::Signal;

use crate::cgroup::Cgroup;
use crate::process::Process;
use crate::record::{Record, boot_id, keeper_of, remove_file};

use belonging::{Seen, belonging};

/// A process that waits for a device dies only when that answers.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
/// A process whose program is just being replaced shows no environment for a moment.
const EMPTY_LOOKS: u32 = 2;

/// What a sweep did: pids with the names of their programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub killed: Vec<(u32, String)>,
    /// Those that still ran some seconds after SIGKILL, or are another user's. Their record stays for the next sweep.
    pub left: Vec<(u32, String)>,
}

/// Kills what is left of every engine whose keeper is gone without having ended it, and removes its record. Returns when
/// what was killed is dead. A process of which it is not sure lives; records of an earlier boot are removed alone.
///
/// # Errors
/// The operating system's, and for a folder in which others may put records.
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

/// Returns what could not be ended.
fn end(record: &Record, killed: &mut Vec<(u32, String)>) -> Vec<(u32, String)> {
    let cgroup = record.cgroup.clone().map(Cgroup::left_at);
    let start = Monotonic::now();
    let mut empty_looks = 0;
    loop {
        let members = cgroup.as_ref().map(Cgroup::members).unwrap_or_default();
        let found = belonging(record, &Seen::all(), &members);
        empty_looks = if found.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == EMPTY_LOOKS {
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
        if Monotonic::now().sec_since(start) > KILL_PATIENCE.as_secs_f64() {
            return found.iter().map(described).collect();
        }
        std::thread::sleep(PAUSE);
    }
    if let Some(cgroup) = cgroup {
        cgroup.remove();
    }
    Vec::new()
}
