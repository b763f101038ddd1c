//! Starts worker processes.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use command_fds::{CommandFdExt, FdMapping};
use nix::{fcntl::OFlag, unistd::pipe2};
use tokio::sync::oneshot;

use joulemark_worker::protocol::REPORT_DESCRIPTOR;

/// Increase of the workers' `oom_score_adj`, in thousandths of the host's memory: the kernel treats a worker as if it
/// used half of the host's memory more.
const RAISED_OOM_SCORE: i32 = 500;
const MAX_OOM_SCORE: i32 = 1000;

/// A process to start.
#[derive(Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// The whole environment: the process does not inherit the service's.
    pub environment: Vec<(OsString, OsString)>,
    /// Locks whose file descriptors stay open in the process while it lives.
    pub inherited: Vec<OwnedFd>,
}

/// A started process and the server's end of its report pipe.
#[derive(Debug)]
pub struct Launched {
    pub child: Child,
    pub reports: OwnedFd,
}

type Request = (Launch, oneshot::Sender<io::Result<Launched>>);

/// Thread that forks all workers and lives as long as the server. A worker's parent-death signal is sent when the
/// thread that forked it ends, and tokio ends its blocking threads after seconds of idleness.
#[derive(Clone, Debug)]
pub struct Launcher {
    requests: mpsc::Sender<Request>,
}

impl Launcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// Returns an error when the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel::<Request>();
        std::thread::Builder::new()
            .name("worker-launcher".to_owned())
            .spawn(move || {
                drop_ambient_capabilities();
                for (launch, answer) in receiver {
                    // The caller may be gone by now. Dropping the answer then closes the worker's orders, which ends
                    // it.
                    let _ = answer.send(start(launch));
                }
            })?;
        Ok(Self { requests })
    }

    /// Starts a process.
    ///
    /// # Errors
    /// Returns the operating system's error when the process does not start.
    pub async fn launch(&self, launch: Launch) -> io::Result<Launched> {
        let gone = || io::Error::other("the launcher thread is gone");
        let (answer, started) = oneshot::channel();
        self.requests.send((launch, answer)).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

/// Drops the ambient capabilities of this thread, so that workers do not inherit the CAP_PERFMON that the service
/// manager gave the server for its meter. A kernel that does not know the call has no ambient capabilities.
#[expect(unsafe_code, reason = "ambient capabilities have no wrapper in the crates we have")]
fn drop_ambient_capabilities() {
    let (none, clear_all) = (0 as libc::c_ulong, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    // SAFETY: all arguments are numbers; the call changes only the calling thread's own set.
    let answer = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear_all, none, none, none) };
    if answer != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "ambient capabilities cannot be dropped");
    }
}

fn start(launch: Launch) -> io::Result<Launched> {
    let (reports, child_end) = pipe2(OFlag::O_CLOEXEC)?;
    let mut command = Command::new(launch.program);
    command
        .args(launch.arguments)
        .env_clear()
        .envs(launch.environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A process group for each worker, so that its descendants are killed with it.
        .process_group(0);
    let reports_to = FdMapping {
        parent_fd: child_end,
        child_fd: REPORT_DESCRIPTOR,
    };
    let kept = (REPORT_DESCRIPTOR + 1..).zip(launch.inherited);
    let kept = kept.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command
        .fd_mappings(std::iter::once(reports_to).chain(kept).collect())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let child = command.spawn()?;
    prefer_for_oom_kill(child.id());
    Ok(Launched { child, reports })
}

/// Makes the kernel kill this process and its descendants before the server and other programs when memory runs out,
/// which ends only one experiment. Raising the score needs no privilege.
fn prefer_for_oom_kill(pid: u32) {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj");
    let own: i32 = own.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let raised = (own + RAISED_OOM_SCORE).min(MAX_OOM_SCORE);
    if let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), raised.to_string()) {
        tracing::warn!(pid, %error, "when memory runs out, the kernel may kill the server instead of this worker");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::Duration;

    use super::*;

    /// Command that is killed when the thread that forked it ends, as a worker is.
    const DIES_WITH_ITS_PARENT: [&str; 5] = ["setpriv", "--pdeathsig", "KILL", "sleep", "60"];

    fn until_it_sleeps(pid: u32) {
        while std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives") != "sleep\n" {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_launched_process_outlives_idle_threads_of_the_pool_but_not_the_launcher() {
        let [program, arguments @ ..] = DIES_WITH_ITS_PARENT;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_keep_alive(Duration::from_millis(1))
            .build()
            .expect("a runtime");
        let launcher = Launcher::start().expect("its thread");
        let launched = runtime.block_on(launcher.launch(Launch {
            program: program.into(),
            arguments: arguments.map(OsString::from).to_vec(),
            environment: Vec::new(),
            inherited: Vec::new(),
        }));
        let mut worker = launched.expect("it starts").child;
        until_it_sleeps(worker.id());
        let of_the_pool = runtime.spawn_blocking(move || {
            let child = Command::new(program).args(arguments).spawn().expect("it starts");
            until_it_sleeps(child.id());
            child
        });
        let mut of_the_pool = runtime.block_on(of_the_pool).expect("its thread does not panic");
        let killed = Some(libc::SIGKILL);
        assert_eq!(
            of_the_pool.wait().expect("it is ours").signal(),
            killed,
            "its thread was idle"
        );
        assert_eq!(worker.try_wait().expect("it is ours"), None, "it lives on");
        drop(launcher);
        assert_eq!(worker.wait().expect("it is ours").signal(), killed);
    }
}
