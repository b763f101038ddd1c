//! Runs the metered command: its standard streams are ours, its signals reach it, its end is its exit code.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};

use anyhow::Context as _;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// What would end this process before it has printed its result.
const FORWARDED: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
];

/// Above a killed command's signal number, as shells count.
const KILLED: i32 = 128;

/// The command could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{command} cannot be started")]
pub struct Failure {
    command: String,
    source: io::Error,
}

impl Failure {
    /// As shells have it: 127 for a command that is not found, 126 for one that cannot be run.
    pub fn exit_code(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound {
            127
        } else {
            126
        }
    }
}

/// Signals that wait to be read instead of ending this process.
pub struct Signals {
    waiting: SignalFd,
    /// What was blocked before: the command gets this, not our block.
    inherited: SigSet,
}

impl Signals {
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

    /// Waits until the command has ended, and passes signals on to it meanwhile. Its CPU time stays readable until
    /// [`Running::exit_code`].
    ///
    /// # Errors
    /// Returns an error when the operating system does not let it wait.
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

/// The command, from its start until its exit code was asked for.
pub struct Running(Child);

impl Running {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns the exit code of the command, or 128 and the number of the signal that ended it.
    ///
    /// # Errors
    /// Returns an error when the operating system does not tell.
    pub fn exit_code(mut self) -> anyhow::Result<u8> {
        Ok(exit_code(self.0.wait()?))
    }
}

/// A signal from a terminal has reached the command already, which is in the same group: twice means "at once" to many.
fn pass_on(signal: &siginfo, child: &Child) {
    let from_kernel = signal.ssi_code > 0;
    let Ok(number) = Signal::try_from(signal.ssi_signo as i32) else {
        return;
    };
    if number != Signal::SIGCHLD && !from_kernel {
        // Not waited for yet, so the number is still the child's; it may have ended all the same.
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
