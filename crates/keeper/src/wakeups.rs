use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::read;

/// Signals that stop the keeper; the kernel sends the first when its parent dies.
const STOPPING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
/// Maximum duration of one wait. The kernel limits it to 31 bits of milliseconds; callers wait repeatedly.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The events that a keeper waits for: data on its standard input, and signals.
#[derive(Debug)]
pub struct Wakeups {
    /// `None` after the end of the input.
    orders: Option<io::Stdin>,
    received: Vec<u8>,
    signals: SignalFd,
    is_asked_to_stop: bool,
}

impl Wakeups {
    /// Blocks its signals for this thread and the threads it starts. Must be called before the process has other
    /// threads: a signal is delivered to any thread that does not block it, and ends the process.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn new() -> io::Result<Self> {
        let mut mask = SigSet::from_iter(STOPPING);
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        restore_default_sigchld()?;
        Ok(Self {
            orders: Some(io::stdin()),
            received: Vec::new(),
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            is_asked_to_stop: false,
        })
    }

    /// Waits for the first line of the input; `None` when the keeper is asked to stop before.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn order(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            self.wait(None)?;
            if let Some(length) = self.received.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.received.drain(..length).collect()));
            }
            if self.is_asked_to_stop {
                return Ok(None);
            }
        }
    }

    /// Returns whether the input has ended, or a signal has asked the keeper to stop.
    pub fn is_asked_to_stop(&self) -> bool {
        self.is_asked_to_stop
    }

    /// Waits until a child ends or the keeper is asked to stop, at most for `timeout`; without a limit for `None`.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // Rounds up to a millisecond, so that the caller does not loop without waiting.
        let whole_ms = |time: Duration| Duration::from_millis(time.min(MAX_WAIT).as_micros().div_ceil(1000) as u64);
        let timeout = timeout.map_or(PollTimeout::NONE, |time| {
            PollTimeout::try_from(whole_ms(time)).unwrap_or(PollTimeout::MAX)
        });
        let mut polled = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        polled.extend(
            self.orders
                .as_ref()
                .map(|orders| PollFd::new(orders.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_orders = polled.get(1).is_some_and(|orders| orders.any() != Some(false));
        while let Some(signal) = self.signals.read_signal()? {
            self.is_asked_to_stop |= signal.ssi_signo != Signal::SIGCHLD as u32;
        }
        if has_orders && !self.read_orders()? {
            self.orders = None;
            self.is_asked_to_stop = true;
        }
        Ok(())
    }

    /// Reads from the input. Returns `false` at its end.
    fn read_orders(&mut self) -> io::Result<bool> {
        let Some(orders) = &self.orders else { return Ok(false) };
        let mut chunk = [0; 8192];
        match read(orders, &mut chunk) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.received.extend_from_slice(&chunk[..length]);
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

/// Restores the default action of SIGCHLD. When the parent ignored it, the kernel reaps children itself and their exit
/// status is lost, for the keeper and for the engine, which inherits the setting.
#[expect(
    unsafe_code,
    reason = "the wrapper is unsafe because of handler functions, and none is installed"
)]
fn restore_default_sigchld() -> io::Result<()> {
    // SAFETY: the default action installs no handler function.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}
