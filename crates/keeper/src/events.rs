use std::fs::File;
use std::io::{self, Write as _};

use nix::unistd::close;

use crate::order::KeepEvent;

/// The file descriptor on which a keeper writes its events, as a worker writes its reports.
const EVENT_DESCRIPTOR: i32 = 3;

/// The pipe to the server.
#[derive(Debug)]
pub struct Events(File);

impl Events {
    /// Reopens the inherited descriptor with close-on-exec and closes the original, so that the engine does not keep
    /// the pipe open after the keeper's death.
    ///
    /// # Errors
    /// Returns an error when there is no such descriptor, because the process was not started by a server.
    pub fn open() -> io::Result<Self> {
        let path = format!("/proc/self/fd/{EVENT_DESCRIPTOR}");
        // The standard library opens every file with close-on-exec.
        let pipe = File::options().write(true).open(path)?;
        close(EVENT_DESCRIPTOR)?;
        Ok(Self(pipe))
    }

    /// Writes an event. Errors are ignored, because they mean that the server is gone.
    pub fn send(&mut self, event: &KeepEvent) {
        let mut line = serde_json::to_string(event).expect("texts, numbers and no failing serializer");
        line.push('\n');
        let _ = self.0.write_all(line.as_bytes());
    }
}
