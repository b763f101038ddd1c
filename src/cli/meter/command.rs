//! Runs the metered command with this process's standard streams, forwards signals to it and returns its exit code.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Signals that would end this process before it prints the result.
const FORWARDED: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
];

/// Added to the number of the signal that ended the command, as shells do.
const KILLED: i32 = 128;

/// The command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{command} cannot be started")]
pub struct Failure {
    command: String,
    source: io::Error,
}

impl Failure {
    /// Returns 127 for a command that is not found and 126 for one that cannot be run, as shells do.
    pub fn exit_code(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        }
    }
}

/// Blocked signals, which are read instead of ending this process.
pub struct Signals {
    waiting: SignalFd,
    /// Signal mask from before the block; the command inherits this one.
    inherited: SigSet,
}

impl Signals {
    /// Blocks the forwarded signals and SIGCHLD for this thread.
    pub fn block() -> anyhow::Result<Self> {
        let mut set = SigSet::empty();
        for signal in FORWARDED.into_iter().chain([Signal::SIGCHLD]) {
            set.add(signal);
        }
        let mut inherited = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut inherited)).context("signals cannot be blocked")?;
        Ok(Self {
            waiting: SignalFd::new(&set).context("signals cannot be read")?,
            inherited,
        })
    }

    /// Starts the command.
    ///
    /// # Errors
    /// Returns a [`Failure`] when it cannot be started.
    #[expect(
        unsafe_code,
        reason = "pre_exec: the command must not inherit the signals that are blocked here"
    )]
    pub fn start(&self, command: &[OsString]) -> anyhow::Result<Running> {
        let (program, arguments) = command.split_first().context("there is no command")?;
        let mut command = Command::new(program);
        command.args(arguments);
        let inherited = self.inherited;
        // SAFETY: between fork and exec only what is safe in a signal handler may run; sigprocmask is, by POSIX, and
        // the closure owns the mask it passes and allocates nothing.
        unsafe {
            command.pre_exec(move || Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&inherited), None)?));
        }
        let child = command.spawn().map_err(|source| Failure {
            command: program.to_string_lossy().into_owned(),
            source,
        })?;
        Ok(Running(child))
    }

    /// Waits until the command has ended, and passes signals on to it meanwhile. Its CPU time remains readable until
    /// [`Running::exit_code`] reaps it.
    ///
    /// # Errors
    /// Returns an error when the operating system cannot wait for the command.
    pub fn wait_for(&mut self, running: &Running) -> anyhow::Result<()> {
        let this = Pid::from_raw(running.pid() as i32);
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(this), look).context("the command cannot be waited for")? == WaitStatus::StillAlive {
            if let Some(signal) = self.waiting.read_signal().context("signals cannot be read")? {
                pass_on(&signal, &running.0);
            }
        }
        Ok(())
    }
}

/// The running command, or the ended one until its exit code is read.
pub struct Running(Child);

impl Running {
    /// Returns the PID of the command.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns the exit code of the command, or 128 plus the number of the signal that ended it.
    ///
    /// # Errors
    /// Returns the operating system's error.
    pub fn exit_code(mut self) -> anyhow::Result<u8> {
        Ok(exit_code(self.0.wait()?))
    }
}

/// Passes a signal on. One from the terminal is skipped: the command is in the same process group and has received it.
fn pass_on(signal: &siginfo, child: &Child) {
    let from_kernel = signal.ssi_code > 0;
    let Ok(number) = Signal::try_from(signal.ssi_signo as i32) else {
        return;
    };
    if number != Signal::SIGCHLD && !from_kernel {
        // Not reaped yet, so the PID is still the child's, even if it has ended.
        kill(Pid::from_raw(child.id() as i32), number).ok();
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let killed = status.signal().map(|signal| KILLED + signal);
    status
        .code()
        .or(killed)
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_passed_on_and_a_signal_counts_from_128() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(Signal::SIGKILL as i32)), 137);
    }
}
