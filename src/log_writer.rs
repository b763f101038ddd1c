//! Writes the log to standard error without ever blocking or ending the program. A line that cannot be written, because
//! the reader is gone or stuck or the disk is full, is dropped and counted.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Size in bytes that can be written to a ready pipe without blocking (PIPE_BUF on Linux).
const CHUNK_BYTES: usize = 4096;
/// Maximum time in milliseconds to wait for the reader. After a timeout there is no wait until the reader has made
/// room.
const TIMEOUT_MS: u16 = 100;

static DROPPED: AtomicU64 = AtomicU64::new(0);
static OUTPUT: Mutex<Output> = Mutex::new(Output {
    is_stuck: false,
    is_cut_short: false,
});

/// Writer of log lines, created for each line.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

struct Output {
    is_stuck: bool,
    /// Whether the last line was written only in part, so that a line feed must come first.
    is_cut_short: bool,
}

/// Returns the number of lines that were dropped since the process started.
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
    /// Writes a line. Returns whether all of it was written.
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
            let timeout_ms = if self.is_stuck { 0 } else { TIMEOUT_MS };
            match poll(&mut ready, PollTimeout::from(timeout_ms)) {
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
