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

/// Half of the host's memory more than it has, as the kernel chooses whom to kill (`oom_score_adj` is in thousandths).
const RAISED_OOM_SCORE: i32 = 500;
const MAX_OOM_SCORE: i32 = 1000;

/// A process to start.
#[derive(Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// All of it: nothing of the service's own is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Open in the process for as long as it lives: locks.
    pub inherited: Vec<OwnedFd>,
}

/// A started process and this end of its report pipe.
#[derive(Debug)]
pub struct Launched {
    pub child: Child,
    pub reports: OwnedFd,
}

type Request = (Launch, oneshot::Sender<io::Result<Launched>>);

/// Forks all workers from one thread that lives as long as the server: a worker's parent-death signal fires when the
/// thread that forked it ends, and tokio's blocking threads end after seconds of idleness.
#[derive(Clone, Debug)]
pub struct Launcher {
    requests: mpsc::Sender<Request>,
}

impl Launcher {
    /// # Errors
    /// When no thread can be started.
    pub fn start() -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel::<Request>();
        std::thread::Builder::new()
            .name("worker-launcher".to_owned())
            .spawn(move || {
                keep_capabilities_from_workers();
                for (launch, answer) in receiver {
                    // Whoever asked may be cancelled by now; dropping the answer then closes the worker's orders, its end.
                    let _ = answer.send(start(launch));
                }
            })?;
        Ok(Self { requests })
    }

    /// # Errors
    /// The operating system's, when the process does not start.
    pub async fn launch(&self, launch: Launch) -> io::Result<Launched> {
        let gone = || io::Error::other("the launcher thread is gone");
        let (answer, started) = oneshot::channel();
        self.requests.send((launch, answer)).map_err(|_| gone())?;
        started.await.map_err(|_| gone())?
    }
}

/// A capability that the service manager lent the server for its meter (CAP_PERFMON) is no worker's: what this thread
/// starts has none. On a kernel that does not know the call there is none to keep.
#[expect(unsafe_code, reason = "ambient capabilities have no wrapper in the crates we have")]
fn keep_capabilities_from_workers() {
    let (none, clear_all) = (0 as libc::c_ulong, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    // SAFETY: plain numbers; the call changes the calling thread's own set and nothing else.
    let answer = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear_all, none, none, none) };
    if answer != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "ambient capabilities cannot be given up");
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
        // A group of its own, so that whatever a worker starts dies with it.
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
    offer_to_the_kernel(child.id());
    Ok(Launched { child, reports })
}

/// Has the kernel kill this process, and what it starts, before the server and what else runs on the host when memory
/// runs out: that ends one experiment. To raise it needs no privilege.
fn offer_to_the_kernel(pid: u32) {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj");
    let own: i32 = own.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let raised = (own + RAISED_OOM_SCORE).min(MAX_OOM_SCORE);
    if let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), raised.to_string()) {
        tracing::warn!(pid, %error, "where memory runs out, the kernel may kill the server in place of this worker");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::Duration;

    use super::*;

    /// A process that is killed when the thread that forked it ends, as a worker is.
    const DIES_WITH_ITS_PARENT: [&str; 5] = ["setpriv", "--pdeathsig", "KILL", "sleep", "60"];

    fn until_it_sleeps(pid: u32) {
        while std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives") != "sleep\n" {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn what_is_launched_outlives_the_threads_of_the_pool_and_not_the_launcher() {
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
