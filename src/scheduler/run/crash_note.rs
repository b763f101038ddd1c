//! Distinguishes an experiment that crashed the server from one whose server was killed. A thread that faults or aborts
//! while it works on an experiment writes the experiment's id to a file before the process dies. A signal from another
//! process, SIGKILL and a power cut leave no note, so no experiment is blamed for them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use joulemark_files::open_own;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use joulemark_experiment::ExperimentId;

const FILE: &str = "crashes";
const SIGNALS: [Signal; 5] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
];
/// 36 characters of a UUID and a newline.
const LINE_BYTES: usize = 37;

tokio::task_local! {
    /// The line to write, formatted beforehand because a signal handler must not allocate.
    static WORKING_ON: [u8; LINE_BYTES];
}

static NOTES: AtomicI32 = AtomicI32::new(-1);
static BEFORE: OnceLock<[SigAction; SIGNALS.len()]> = OnceLock::new();

/// Runs `work`. A crash in it is noted for the experiment `id`.
pub async fn working_on<T>(id: ExperimentId, work: impl Future<Output = T>) -> T {
    let mut line = [b'\n'; LINE_BYTES];
    line[..LINE_BYTES - 1].copy_from_slice(id.to_string().as_bytes());
    WORKING_ON.scope(line, work).await
}

/// Reads and clears the notes that earlier servers left in `folder`, and installs the signal handlers that write this
/// server's note. Blocks; must be called at most once per process.
///
/// # Errors
/// Returns the operating system's error when the file cannot be opened or a handler cannot be installed.
pub fn start(folder: &Path) -> io::Result<BTreeSet<ExperimentId>> {
    let mut options = File::options();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let mut file = open_own(&folder.join(FILE), options)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    // Cleared before the crashes are counted: a kill in between may lose a crash, but never counts one twice.
    file.set_len(0)?;
    NOTES.store(file.into_raw_fd(), Ordering::Relaxed);
    install()?;
    let text = String::from_utf8_lossy(&text);
    // A stack overflow is noted twice: as the fault and as the abort that follows.
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

#[expect(unsafe_code, reason = "a signal handler")]
fn install() -> io::Result<()> {
    // Runs on the signal stack that the standard library gives each thread, since the thread's own stack may have
    // overflowed.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(note), flags, SigSet::empty());
    let mut before = [action; SIGNALS.len()];
    for (signal, before) in SIGNALS.into_iter().zip(&mut before) {
        // SAFETY: the handler calls only async-signal-safe functions.
        *before = unsafe { sigaction(signal, &action) }?;
    }
    let _ = BEFORE.set(before);
    Ok(())
}

/// Writes the id of the experiment that this thread works on, unless another process sent the signal; then lets the
/// process die of the signal.
#[expect(unsafe_code, reason = "a signal handler")]
extern "C" fn note(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid pointer to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    let is_fault = info.si_code > 0;
    // SAFETY: a signal that is not a fault was sent by kill or raise, so its sender is set.
    let is_own = is_fault || unsafe { info.si_pid() == libc::getpid() };
    if is_own {
        let _ = WORKING_ON.try_with(|line| {
            // SAFETY: the line outlives the call; with a descriptor that is not open, write only fails.
            unsafe { libc::write(NOTES.load(Ordering::Relaxed), line.as_ptr().cast(), LINE_BYTES) }
        });
    }
    let Ok(signal) = Signal::try_from(number) else { return };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let before = SIGNALS.iter().position(|known| *known == signal);
    let before = before.zip(BEFORE.get()).map(|(index, before)| before[index]);
    // A fault recurs when this handler returns, and is then handled by the previous handler.
    let next = before.filter(|_| is_fault).unwrap_or(default);
    // SAFETY: the action is the previous one or the default.
    let _ = unsafe { sigaction(signal, &next) };
    if !is_fault {
        // The signal is blocked until this handler returns.
        let _ = raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, ExitStatus, Stdio};

    use nix::sys::signal::kill;
    use nix::unistd::Pid;

    use super::*;

    const HOW: &str = "CRASH_NOTE_TEST_HOW";
    const FOLDER: &str = "CRASH_NOTE_TEST_FOLDER";
    const ID: &str = "01938c5e-9a62-7c3f-8f0e-0d5f6f2b7c11";

    /// Crashes as the variables of the environment ask; the tests below run it in a separate process.
    #[test]
    fn a_process_that_crashes_on_demand() {
        let (Ok(how), Some(folder)) = (std::env::var(HOW), std::env::var_os(FOLDER)) else {
            return;
        };
        let left = start(Path::new(&folder)).expect("the notes");
        assert_eq!(left, BTreeSet::new(), "no crash before");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let id = ID.parse().expect("an id");
        if how == "idle" {
            std::process::abort();
        }
        let crash = async move {
            match how.as_str() {
                "abort" => std::process::abort(),
                "overflow" => println!("{}", endless(0)),
                _ => {
                    println!("working");
                    std::thread::sleep(std::time::Duration::from_secs(60));
                }
            }
        };
        let _ = runtime.block_on(runtime.spawn(working_on(id, crash)));
    }

    #[expect(unconditional_recursion, reason = "so that the stack overflows")]
    fn endless(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 512]);
        endless(depth + 1) + frame[7]
    }

    /// Returns how the process ended and the ids that it noted.
    fn crash(how: &str, sent: Option<Signal>) -> (ExitStatus, Vec<ExperimentId>) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture"])
            .arg(
                concat!(module_path!(), "::a_process_that_crashes_on_demand")
                    .split_once("::")
                    .expect("a crate")
                    .1,
            )
            .env(HOW, how)
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        if let Some(signal) = sent {
            let mut lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().expect("it is piped")));
            assert!(lines.any(|line| line.expect("it prints").contains("working")));
            kill(Pid::from_raw(child.id() as i32), signal).expect("it lives");
        }
        let ended = child.wait().expect("it is ours");
        let text = std::fs::read_to_string(folder.path().join(FILE)).expect("the notes");
        (ended, text.lines().map(|line| line.parse().expect("an id")).collect())
    }

    #[test]
    fn a_crash_during_an_experiment_is_noted_for_it() {
        let id: ExperimentId = ID.parse().expect("an id");
        let (ended, noted) = crash("abort", None);
        assert_eq!((ended.signal(), noted), (Some(libc::SIGABRT), vec![id]));
        let (ended, noted) = crash("overflow", None);
        assert!(ended.signal().is_some(), "{ended}");
        assert!(noted.iter().all(|noted| *noted == id) && !noted.is_empty(), "{noted:?}");
    }

    #[test]
    fn a_crash_outside_any_experiment_is_not_noted() {
        let (ended, noted) = crash("idle", None);
        assert_eq!((ended.signal(), noted), (Some(libc::SIGABRT), vec![]));
    }

    #[test]
    fn a_signal_from_another_process_ends_the_server_and_is_not_noted() {
        for signal in SIGNALS.into_iter().chain([Signal::SIGKILL]) {
            let (ended, noted) = crash("wait", Some(signal));
            assert_eq!((ended.signal(), noted), (Some(signal as i32), vec![]), "{signal}");
        }
    }
}
