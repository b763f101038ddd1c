use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use joulemark_files::private_folder;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

use crate::cgroup::Cgroup;
use crate::engine;
use crate::error::KeepError;
use crate::events::Events;
use crate::order::{KeepEvent, KeepOrder};
use crate::process::{Identity, Process};
use crate::process_tree::ProcessTree;
use crate::record::{Record, boot_id, new_mark};
use crate::wakeups::Wakeups;

/// Runs one engine until it ends, the server ends, or the server requests the end; then ends every process that the
/// engine started. Reports its progress by [`KeepEvent`]s. Must be called on the main thread before the process has
/// others.
///
/// # Errors
/// Returns [`KeepError`]. Errors that occur after the order was read are also reported as [`KeepEvent::Failed`].
pub fn keep(parent_pid: u32) -> Result<ExitCode, KeepError> {
    // Blocks signals first, so that none ends the keeper before it has cleaned up.
    let mut wakeups = Wakeups::new().map_err(KeepError::ByHand)?;
    bind_to_parent(parent_pid).map_err(KeepError::ByHand)?;
    let mut events = Events::open().map_err(KeepError::ByHand)?;
    let outcome = match wakeups.order()? {
        Some(line) => run(&line, &mut wakeups, &mut events),
        None => Ok(()),
    };
    if let Err(error) = &outcome {
        let message = error.to_string();
        events.send(&KeepEvent::Failed { message });
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Asks the kernel to send this process SIGTERM when the thread that forked it ends, and makes it the parent of
/// orphaned descendants.
fn bind_to_parent(parent_pid: u32) -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The signal is sent only for a later end of the parent.
    let parent = getppid();
    if parent == Pid::from_raw(parent_pid as i32) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the server (pid {parent_pid}) is gone: the parent is pid {parent}"
    )))
}

fn run(line: &[u8], wakeups: &mut Wakeups, events: &mut Events) -> Result<(), KeepError> {
    let order: KeepOrder = serde_json::from_slice(line).map_err(KeepError::Order)?;
    let folder = order.record_dir.as_path();
    let unrecorded = |error| KeepError::Record {
        folder: folder.display().to_string(),
        error,
    };
    // For the engine, which inherits the CPU set. The keeper itself is idle.
    pin_to_cpus(&order.cpus)?;
    let mut record = new_record(&order).map_err(unrecorded)?;
    // Written before the engine starts, so that a sweep can always find it.
    record.write(folder).map_err(unrecorded)?;
    let mut cgroup = record.cgroup.clone().and_then(Cgroup::make);
    let entrance = cgroup.as_ref().and_then(|cgroup| cgroup.entrance().ok());
    let pid = match engine::start(&order, &record.mark, entrance) {
        Ok(pid) => pid,
        Err(message) => {
            if let Some(cgroup) = cgroup {
                cgroup.remove();
            }
            record.remove(folder).map_err(unrecorded)?;
            return Err(KeepError::Start(message));
        }
    };
    let noted = record_engine(&mut record, pid, &mut cgroup, folder).map_err(unrecorded);
    let mut process_tree = ProcessTree::new(pid, cgroup, wakeups, events);
    let outcome_of_run = noted.and_then(|engine| Ok(process_tree.wait_for_end(engine)?));
    // Also after an error, because the engine was started.
    process_tree.end(Duration::from_millis(order.grace_ms))?;
    record.remove(folder).map_err(unrecorded)?;
    outcome_of_run
}

fn new_record(order: &KeepOrder) -> io::Result<Record> {
    private_folder(&order.record_dir)?;
    let mark = new_mark()?;
    let parent = order.cgroup_parent.as_deref();
    Ok(Record {
        boot_id: boot_id()?,
        keeper: Identity::own().ok_or_else(|| io::Error::other("/proc does not show this process"))?,
        engine: None,
        cgroup: parent.map(|parent| Cgroup::folder_in(parent, &mark)),
        mark,
        membership: None,
    })
}

/// Adds the identity and the cgroup membership of the running engine to the record. Removes a cgroup that the engine
/// could not enter.
fn record_engine(record: &mut Record, pid: u32, cgroup: &mut Option<Cgroup>, folder: &Path) -> io::Result<Identity> {
    // The process exists until it is reaped, even if it has ended.
    let process = Process::read(pid).ok_or_else(|| io::Error::other("/proc does not show the engine"))?;
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    if let Some(empty) = cgroup.take_if(|cgroup| !membership.as_deref().is_some_and(|text| cgroup.holds(text))) {
        empty.remove();
    }
    record.engine = Some(process.identity);
    record.cgroup = cgroup.as_ref().map(|cgroup| cgroup.folder().to_owned());
    record.membership = membership;
    record.write(folder)?;
    Ok(process.identity)
}

fn pin_to_cpus(cpus: &[u32]) -> Result<(), KeepError> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    let added = cpus.iter().try_for_each(|cpu| set.set(*cpu as usize));
    let pinned = added.and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    pinned.map_err(|error| KeepError::Pinning {
        cpus: cpus.to_owned(),
        error: error.into(),
    })
}
