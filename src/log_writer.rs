//! Writes the log to standard error, and never holds up or ends what is logged: a line that standard error does not
//! take, because its reader has gone or is stuck or its disk is full, is dropped and counted.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe that is ready takes as much without blocking (PIPE_BUF on Linux).
const CHUNK_BYTES: usize = 4096;
/// How long a reader may take to make room. One that took longer is not waited for until it has made some.
const PATIENCE_MS: u16 = 100;

static DROPPED: AtomicU64 = AtomicU64::new(0);
static OUTPUT: Mutex<Output> = Mutex::new(Output {
    is_stuck: false,
    is_cut_short: false,
});

/// A writer that takes every line; made anew for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

struct Output {
    is_stuck: bool,
    /// The last line was written in part, and the next begins with the end of it.
    is_cut_short: bool,
}

/// Returns how many lines were dropped since the process started.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

impl io::Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut output = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
        if !output.take(line) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    /// Writes a line; returns whether all of it was taken.
    fn take(&mut self, line: &[u8]) -> bool {
        if self.is_cut_short && !matches!(self.put(b"\n"), Ok(1)) {
            return false;
        }
        self.is_cut_short = false;
        let mut rest = line;
        while !rest.is_empty() {
            match self.put(&rest[..rest.len().min(CHUNK_BYTES)]) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => {
                    self.is_cut_short = rest.len() < line.len();
                    return false;
                }
            }
        }
        true
    }

    fn put(&mut self, chunk: &[u8]) -> nix::Result<usize> {
        let stderr = io::stderr();
        loop {
            let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            let patience_ms = if self.is_stuck { 0 } else { PATIENCE_MS };
            match poll(&mut ready, PollTimeout::from(patience_ms)) {
                Err(Errno::EINTR) => continue,
                Ok(0) => {
                    self.is_stuck = true;
                    return Err(Errno::EAGAIN);
                }
                _ => self.is_stuck = false,
            }
            match nix::unistd::write(&stderr, chunk) {
                Err(Errno::EINTR) => {}
                outcome => return outcome,
            }
        }
    }
}
