//! Tells an experiment that crashed the server from one whose server was killed. A thread that faults or aborts while it
//! works on an experiment notes that experiment's id as the process dies. A signal from another process, SIGKILL and a
//! power cut leave no note, so they are never taken for an experiment's doing.

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
/// A UUID's 36 characters and the end of the line.
const LINE_BYTES: usize = 37;

tokio::task_local! {
    /// The line to note, written out beforehand: a signal handler may not allocate.
    static WORKING_ON: [u8; LINE_BYTES];
}

static NOTES: AtomicI32 = AtomicI32::new(-1);
static BEFORE: OnceLock<[SigAction; SIGNALS.len()]> = OnceLock::new();

/// Runs `work`, whose crashes are `id`'s doing.
pub async fn working_on<T>(id: ExperimentId, work: impl Future<Output = T>) -> T {
    let mut line = [b'\n'; LINE_BYTES];
    line[..LINE_BYTES - 1].copy_from_slice(id.to_string().as_bytes());
    WORKING_ON.scope(line, work).await
}

/// Takes the notes that earlier servers left in `folder`, and notes this one's crash there. Blocks; to be called once a
/// process.
///
/// # Errors
/// Returns the operating system's error when the file or a handler cannot be had.
pub fn start(folder: &Path) -> io::Result<BTreeSet<ExperimentId>> {
    let mut options = File::options();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let mut file = open_own(&folder.join(FILE), options)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    // Before they are counted: a kill in between may forget a crash, and never counts one twice.
    file.set_len(0)?;
    NOTES.store(file.into_raw_fd(), Ordering::Relaxed);
    install()?;
    let text = String::from_utf8_lossy(&text);
    // A stack that overflowed is noted as the fault and again as the abort that follows.
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

#[expect(unsafe_code, reason = "a signal handler")]
fn install() -> io::Result<()> {
    // On the stack that the standard library gives each thread for signals: its own may have overflowed.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(note), flags, SigSet::empty());
    let mut before = [action; SIGNALS.len()];
    for (signal, before) in SIGNALS.into_iter().zip(&mut before) {
        // SAFETY: the handler calls nothing but what a signal handler may call.
        *before = unsafe { sigaction(signal, &action) }?;
    }
    let _ = BEFORE.set(before);
    Ok(())
}

/// Notes the experiment that this thread works on, unless another process sent the signal; then dies of it as before.
#[expect(unsafe_code, reason = "a signal handler")]
extern "C" fn note(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid one.
    let info = unsafe { &*info };
    let is_fault = info.si_code > 0;
    // SAFETY: what is no fault was sent, by kill or by raise, and has a sender.
    let is_own = is_fault || unsafe { info.si_pid() == libc::getpid() };
    if is_own {
        let _ = WORKING_ON.try_with(|line| {
            // SAFETY: the line outlives the call; a descriptor that is not open only fails.
            unsafe { libc::write(NOTES.load(Ordering::Relaxed), line.as_ptr().cast(), LINE_BYTES) }
        });
    }
    let Ok(signal) = Signal::try_from(number) else { return };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let before = SIGNALS.iter().position(|known| *known == signal);
    let before = before.zip(BEFORE.get()).map(|(index, before)| before[index]);
    // A fault comes again on return, to whoever heard of it before.
    let next = before.filter(|_| is_fault).unwrap_or(default);
    // SAFETY: it is the action that was there before, or the default.
    let _ = unsafe { sigaction(signal, &next) };
    if !is_fault {
        // It is blocked until this handler returns.
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

    /// The other half of the tests below, in a process of its own.
    #[test]
    fn a_process_that_is_to_crash() {
        let (Ok(how), Some(folder)) = (std::env::var(HOW), std::env::var_os(FOLDER)) else {
            return;
        };
        let left = start(Path::new(&folder)).expect("the notes");
        assert_eq!(left, BTreeSet::new(), "nobody crashed before");
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

    /// Returns how the process ended and whose doing it noted.
    fn crash(how: &str, sent: Option<Signal>) -> (ExitStatus, Vec<ExperimentId>) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture"])
            .arg(
                concat!(module_path!(), "::a_process_that_is_to_crash")
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
    fn a_crash_in_the_work_on_an_experiment_is_noted_as_its_doing() {
        let id: ExperimentId = ID.parse().expect("an id");
        let (ended, noted) = crash("abort", None);
        assert_eq!((ended.signal(), noted), (Some(libc::SIGABRT), vec![id]));
        let (ended, noted) = crash("overflow", None);
        assert!(ended.signal().is_some(), "{ended}");
        assert!(noted.iter().all(|noted| *noted == id) && !noted.is_empty(), "{noted:?}");
    }

    #[test]
    fn a_crash_outside_the_work_on_any_experiment_is_nobodys_doing() {
        let (ended, noted) = crash("idle", None);
        assert_eq!((ended.signal(), noted), (Some(libc::SIGABRT), vec![]));
    }

    #[test]
    fn a_signal_from_another_process_ends_the_server_and_is_nobodys_doing() {
        for signal in SIGNALS.into_iter().chain([Signal::SIGKILL]) {
            let (ended, noted) = crash("wait", Some(signal));
            assert_eq!((ended.signal(), noted), (Some(signal as i32), vec![]), "{signal}");
        }
    }
}
