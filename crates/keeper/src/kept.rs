//! An engine that was started, with all that it started, until none of it is left.

use std::io;
use std::time::Duration;

use joulemark_measurement::clock::Monotonic;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp};

use crate::cgroup::Cgroup;
use crate::error::KeepError;
use crate::events::Events;
use crate::order::KeepEvent;
use crate::process::{Identity, Process};
use crate::wakeups::Wakeups;

/// A process that waits for a device or a network file system dies only when that answers; one of another user never.
const KILL_PATIENCE: Duration = Duration::from_secs(30);
/// Between two rounds of kills, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The keeper's family. As a subreaper it is the parent of every orphan among its descendants, from the moment that the
/// orphan's parent dies: it has no descendant exactly when it has no child.
pub struct Kept<'a> {
    engine_pid: u32,
    has_engine_ended: bool,
    cgroup: Option<Cgroup>,
    wakeups: &'a mut Wakeups,
    events: &'a mut Events,
}

impl<'a> Kept<'a> {
    pub fn new(engine_pid: u32, cgroup: Option<Cgroup>, wakeups: &'a mut Wakeups, events: &'a mut Events) -> Self {
        Self {
            engine_pid,
            has_engine_ended: false,
            cgroup,
            wakeups,
            events,
        }
    }

    /// Tells that the engine was started, and sleeps until it ends or the keeper is asked to stop.
    ///
    /// # Errors
    /// The operating system's.
    pub fn attend(&mut self, engine: Identity) -> io::Result<()> {
        let cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.folder().to_owned());
        self.events.tell(&KeepEvent::Started {
            pid: engine.pid,
            start_time_ticks: engine.start_time_ticks,
            cgroup,
        });
        while !self.wakeups.is_asked_to_stop() {
            self.reap()?;
            if self.has_engine_ended {
                break;
            }
            self.wakeups.wait(None)?;
        }
        Ok(())
    }

    /// Ends whatever runs: SIGTERM, and after `grace` SIGKILL, until nothing is left.
    ///
    /// # Errors
    /// [`KeepError::Survivors`] when something cannot be killed.
    pub fn end(&mut self, grace: Duration) -> Result<(), KeepError> {
        for process in Process::descendants_of(std::process::id()) {
            // Gone since, or another user's: that shows below.
            let _ = process.signal(Signal::SIGTERM);
        }
        let start = Monotonic::now();
        while self.reap()? {
            let left = grace.saturating_sub(since(start));
            if left.is_zero() {
                return self.kill();
            }
            self.wakeups.wait(Some(left))?;
        }
        self.leave_cgroup();
        Ok(())
    }

    fn kill(&mut self) -> Result<(), KeepError> {
        let start = Monotonic::now();
        let mut pause = FIRST_PAUSE;
        while self.reap()? {
            if since(start) > KILL_PATIENCE {
                let left = Process::descendants_of(std::process::id());
                let left = left.iter().map(|one| format!("{} ({})", one.identity.pid, one.name));
                return Err(KeepError::Survivors(left.collect::<Vec<_>>().join(", ")));
            }
            self.kill_once();
            self.wakeups.wait(Some(pause))?;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        self.leave_cgroup();
        Ok(())
    }

    /// Kills what is there now. A process group dies at once, also those of it that are just being forked; the engine
    /// leads a session of its own, so that no group of a descendant has a member who is none.
    fn kill_once(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let descendants = Process::descendants_of(std::process::id());
        for process in &descendants {
            let _ = process.signal(Signal::SIGKILL);
        }
        let mut groups: Vec<u32> = descendants.iter().map(|process| process.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups.into_iter().map(|group| Pid::from_raw(group as i32)) {
            if group != getpgrp() {
                let _ = killpg(group, Signal::SIGKILL);
            }
        }
    }

    /// Takes note of every child that ended. Returns `false` when no child is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Ok(WaitStatus::Exited(pid, code)) => self.note_end(pid, Some(code), None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.note_end(pid, None, Some(signal as i32)),
                // One that was killed by a signal without a name is reaped as well.
                Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
                Err(Errno::ECHILD) => {
                    self.note_end(Pid::from_raw(self.engine_pid as i32), None, None);
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn note_end(&mut self, pid: Pid, code: Option<i32>, signal: Option<i32>) {
        if pid.as_raw() as u32 == self.engine_pid && !self.has_engine_ended {
            self.has_engine_ended = true;
            self.events.tell(&KeepEvent::Ended { code, signal });
        }
    }

    fn leave_cgroup(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
    }
}

fn since(start: Monotonic) -> Duration {
    Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0))
}
