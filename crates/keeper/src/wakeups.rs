use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::read;

/// Signals that end the keeper's work; the first is the one of its parent's death as well.
const STOPPING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
/// The kernel counts the milliseconds of one wait in 31 bits; who waits for longer asks again.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// All that a keeper sleeps on: its standard input, and signals.
#[derive(Debug)]
pub struct Wakeups {
    /// `None` once the end was read.
    orders: Option<io::Stdin>,
    received: Vec<u8>,
    signals: SignalFd,
    is_asked_to_stop: bool,
}

impl Wakeups {
    /// Blocks the signals for this thread and those that it starts. Must be called before the process has other threads:
    /// a signal goes to any that does not block it, and ends the process.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new() -> io::Result<Self> {
        let mut mask = SigSet::from_iter(STOPPING);
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        have_children_wait_to_be_reaped()?;
        Ok(Self {
            orders: Some(io::stdin()),
            received: Vec::new(),
            signals: SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
            is_asked_to_stop: false,
        })
    }

    /// Waits for the first line of the orders; `None` when the keeper is to stop before it came.
    ///
    /// # Errors
    /// The operating system's.
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

    /// Tells whether the server closed the orders or is gone, or a signal asked for the end, at any time before.
    pub fn is_asked_to_stop(&self) -> bool {
        self.is_asked_to_stop
    }

    /// Sleeps until a child ends or the keeper is asked to stop, for `timeout` at most; `None` for as long as it takes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        // A part of a millisecond is waited for, or the caller would ask again and again.
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

    /// Returns `false` at the end of the orders.
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

/// Undoes an inherited choice to ignore the ends of children, with which the kernel keeps how they ended to itself. The
/// engine, which inherits the choice in turn, relies on it as well.
#[expect(
    unsafe_code,
    reason = "the wrapper is unsafe for the sake of handlers, and this is none"
)]
fn have_children_wait_to_be_reaped() -> io::Result<()> {
    // SAFETY: the default action is no function that could be run at a bad moment.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}
