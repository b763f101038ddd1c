use std::{fs::File, io, path::PathBuf};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::{Pid, close, getppid};

use super::protocol::REPORT_DESCRIPTOR;

/// Ties this process's life to the server's: it gets SIGKILL when the thread that forked it ends.
///
/// # Errors
/// When the server is gone already: the signal is only sent for an end that is still to come.
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

/// Pins this thread, and every thread that it starts from now on, to `cpus`.
///
/// # Errors
/// When a CPU does not exist or is outside of the process's cpuset.
pub fn pin_to_cpus(cpus: &[u32]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu as usize)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Opens the inherited descriptor by its name, which needs no unsafe code and works for pipes, and closes the inherited
/// one: what the worker starts must not hold the pipe open after the worker's death.
///
/// # Errors
/// When the process was not started by a server, so that there is no such descriptor.
pub fn report_pipe() -> io::Result<File> {
    let path = PathBuf::from(format!("/proc/self/fd/{REPORT_DESCRIPTOR}"));
    // Closed on exec, as every descriptor that the standard library opens.
    let reports = File::options().write(true).open(path)?;
    close(REPORT_DESCRIPTOR)?;
    Ok(reports)
}
