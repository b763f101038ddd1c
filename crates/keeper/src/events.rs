use std::fs::File;
use std::io::{self, Write as _};

use nix::unistd::close;

use crate::order::KeepEvent;

/// The descriptor that the server leaves open to a keeper for its events, as to a worker for its reports.
const EVENT_DESCRIPTOR: i32 = 3;

/// The pipe of events.
#[derive(Debug)]
pub struct Events(File);

impl Events {
    /// Opens the inherited descriptor by its name, and closes the inherited one: the engine must not hold the pipe open
    /// after the keeper's death.
    ///
    /// # Errors
    /// When the process was not started by a server, so that there is no such descriptor.
    pub fn open() -> io::Result<Self> {
        let path = format!("/proc/self/fd/{EVENT_DESCRIPTOR}");
        // Closed on exec, as every descriptor that the standard library opens.
        let pipe = File::options().write(true).open(path)?;
        close(EVENT_DESCRIPTOR)?;
        Ok(Self(pipe))
    }

    /// Tells the server, if it is still there: without it nobody wants to know.
    pub fn tell(&mut self, event: &KeepEvent) {
        let mut line = serde_json::to_string(event).expect("texts, numbers and no failing serializer");
        line.push('\n');
        let _ = self.0.write_all(line.as_bytes());
    }
}
