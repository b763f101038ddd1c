//! Starts a keeper as a process, as a server does.

use std::io::{PipeReader, Read, Write as _, pipe};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use joulemark_keeper::{KeepEvent, KeepOrder};
use joulemark_measurement::clock::Monotonic;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// An environment variable whose value identifies the processes of a test.
pub const TEST_VARIABLE: &str = "TEST_OF_KEEPER";
/// Maximum wait, far above what any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The temporary folder of a test's keepers. Kills their remaining processes when it is dropped.
pub struct Setting {
    folder: TempDir,
}

impl Setting {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("it is ours");
        Self { folder }
    }

    pub fn records(&self) -> PathBuf {
        self.folder.path().join("records")
    }

    pub fn record_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.records()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Returns the environment variable that marks the processes of this test.
    pub fn variable(&self) -> (String, String) {
        (TEST_VARIABLE.to_owned(), self.folder.path().display().to_string())
    }

    /// Returns an order for a shell script, with the PATH of the test.
    pub fn order(&self, script: &str) -> KeepOrder {
        let path = std::env::var("PATH").expect("a PATH");
        KeepOrder {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            environment: vec![("PATH".to_owned(), path), self.variable()],
            cpus: Vec::new(),
            record_dir: self.records(),
            grace_ms: 100,
            cgroup_parent: None,
        }
    }

    /// Returns the pids of this test's running processes with this program name.
    pub fn running(&self, name: &str) -> Vec<u32> {
        let all = self.all_running().into_iter();
        all.filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
            .collect()
    }

    pub fn all_running(&self) -> Vec<u32> {
        let (name, value) = self.variable();
        let variable = format!("{name}={value}").into_bytes();
        let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|one| one == variable)
        })
        .collect()
    }

    pub fn until_running(&self, name: &str, count: usize) -> Vec<u32> {
        until(&format!("{count} {name}"), || {
            Some(self.running(name)).filter(|pids| pids.len() == count)
        })
    }

    pub fn until_nothing_runs(&self) {
        until("the end of all processes", || {
            self.all_running().is_empty().then_some(())
        });
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        for pid in self.all_running() {
            send(pid, Signal::SIGKILL);
        }
    }
}

pub fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal);
}

/// Repeats `look` until it returns a value.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Monotonic::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Monotonic::now().sec_since(start) < PATIENCE.as_secs_f64(),
            "waited in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the path of the example that is keeper and server.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    let program = own.ancestors().nth(2).expect("a folder above").join("examples/keep");
    assert!(
        program.is_file(),
        "{} is not there; build it with: cargo build -p joulemark-keeper --examples",
        program.display()
    );
    program
}

/// Returns the next byte; `None` at the end.
fn next_byte(source: &mut (impl Read + AsFd)) -> Option<u8> {
    let mut polled = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
    let patience = PollTimeout::try_from(PATIENCE).expect("some seconds");
    let ready = poll(&mut polled, patience).expect("a pipe");
    assert_ne!(ready, 0, "waited in vain for the end of what is written");
    let mut byte = [0];
    (source.read(&mut byte).expect("a pipe") == 1).then_some(byte[0])
}

/// Returns the next line with its line break, or the rest of the input.
fn next_line(source: &mut (impl Read + AsFd)) -> Vec<u8> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let Some(byte) = next_byte(source) else { break };
        line.push(byte);
    }
    line
}

/// A running keeper with its three pipes.
pub struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    events: PipeReader,
}

impl Keeper {
    /// Starts a keeper and sends it the order.
    pub fn start(order: &KeepOrder) -> Self {
        let mut keeper = Self::without_order();
        let line = serde_json::to_string(order).expect("an order");
        let orders = keeper.orders.as_mut().expect("they are open");
        writeln!(orders, "{line}").expect("it reads");
        keeper
    }

    pub fn without_order() -> Self {
        let (events, child_end) = pipe().expect("a pipe");
        let mut command = Command::new(program());
        command
            .args(["keep", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mapping = FdMapping {
            parent_fd: child_end.into(),
            child_fd: 3,
        };
        command.fd_mappings(vec![mapping]).expect("one descriptor");
        let mut child = command.spawn().expect("a keeper");
        Self {
            orders: child.stdin.take(),
            child,
            events,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the next event; `None` when there are no more.
    pub fn event(&mut self) -> Option<KeepEvent> {
        let line = next_line(&mut self.events);
        (!line.is_empty()).then(|| serde_json::from_slice(&line).expect("an event"))
    }

    /// Waits for the start of the engine and returns its pid.
    pub fn started(&mut self) -> u32 {
        match self.event() {
            Some(KeepEvent::Started { pid, .. }) => pid,
            other => panic!("it does not start: {other:?}"),
        }
    }

    /// Waits for the end of the engine and returns its exit code and signal.
    pub fn ended(&mut self) -> (Option<i32>, Option<i32>) {
        match self.event() {
            Some(KeepEvent::Ended { code, signal }) => (code, signal),
            other => panic!("it does not end: {other:?}"),
        }
    }

    pub fn close_orders(&mut self) {
        self.orders = None;
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Reads the engine's output up to this line.
    pub fn until_printed(&mut self, expected: &str) {
        let errors = self.child.stderr.as_mut().expect("it is piped");
        loop {
            let line = next_line(errors);
            assert!(!line.is_empty(), "it ends without {expected}");
            if line == format!("{expected}\n").as_bytes() {
                return;
            }
        }
    }

    /// Waits for the end of the keeper. Returns its exit status and the unread rest of its standard error.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let errors = self.child.stderr.as_mut().expect("it is piped");
        let output = std::iter::from_fn(|| next_byte(errors)).collect();
        let output = String::from_utf8(output).expect("text");
        (self.child.wait().expect("it is ours"), output)
    }

    /// Kills the keeper and reads its remaining events; the processes it started do not hold the pipe open.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("it is ours");
        while self.event().is_some() {}
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Only after a failed test. `Setting` kills the other processes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether the folder is a cgroup in which this user can create others.
pub fn can_create_cgroups(folder: &Path) -> bool {
    let within = folder.join(format!("joulemark-test-{}", std::process::id()));
    std::fs::create_dir(&within).is_ok() && {
        let may_enter = std::fs::File::options()
            .write(true)
            .open(within.join("cgroup.procs"))
            .is_ok();
        std::fs::remove_dir(&within).expect("it is empty");
        may_enter
    }
}
