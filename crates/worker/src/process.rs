use std::{fs::File, io, path::PathBuf};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::{Pid, close, getppid};

use super::protocol::REPORT_DESCRIPTOR;

/// Ties this process to the server: it receives SIGKILL when the thread that forked it ends.
///
/// # Errors
/// Returns an error when the server has already ended: the signal is only sent for a later end.
pub fn bind_to_parent(parent_pid: u32) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let parent = getppid();
    if parent == Pid::from_raw(parent_pid as i32) {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "the server (pid {parent_pid}) is gone: the parent is pid {parent}"
        )))
    }
}

/// Pins this thread, and every thread that it starts afterwards, to `cpus`.
///
/// # Errors
/// Returns an error when a CPU does not exist or is outside the process's cpuset.
pub fn pin_to_cpus(cpus: &[u32]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu as usize)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Opens the inherited descriptor by its path, which needs no unsafe code and works for pipes, and closes the inherited
/// one: processes that the worker starts must not keep the pipe open after its death.
///
/// # Errors
/// Returns an error when the process was not started by a server, so that the descriptor does not exist.
pub fn report_pipe() -> io::Result<File> {
    let path = PathBuf::from(format!("/proc/self/fd/{REPORT_DESCRIPTOR}"));
    // Closed on exec, like every descriptor that the standard library opens.
    let reports = File::options().write(true).open(path)?;
    close(REPORT_DESCRIPTOR)?;
    Ok(reports)
}
