//! A running engine and its descendants, until none is left.

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

/// Maximum wait after SIGKILL. A process that waits for a device or a network file system dies only when that answers;
/// a process of another user cannot be killed.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two rounds of kills, doubled each time up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// The process tree of an engine. The keeper is a subreaper and so becomes the parent of every orphan among its
/// descendants: it has no descendant exactly when it has no child.
pub struct ProcessTree<'a> {
    engine_pid: u32,
    has_engine_ended: bool,
    cgroup: Option<Cgroup>,
    wakeups: &'a mut Wakeups,
    events: &'a mut Events,
}

impl<'a> ProcessTree<'a> {
    /// Returns the process tree of a started engine.
    pub fn new(engine_pid: u32, cgroup: Option<Cgroup>, wakeups: &'a mut Wakeups, events: &'a mut Events) -> Self {
        Self {
            engine_pid,
            has_engine_ended: false,
            cgroup,
            wakeups,
            events,
        }
    }

    /// Reports that the engine has started, and waits until it ends or the keeper is asked to stop.
    ///
    /// # Errors
    /// Returns the error of the operating system.
    pub fn wait_for_end(&mut self, engine: Identity) -> io::Result<()> {
        let cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.folder().to_owned());
        self.events.send(&KeepEvent::Started {
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

    /// Sends SIGTERM to every process, and SIGKILL after `grace`, until none is left.
    ///
    /// # Errors
    /// Returns [`KeepError::Survivors`] when a process cannot be killed.
    pub fn end(&mut self, grace: Duration) -> Result<(), KeepError> {
        for process in Process::descendants_of(std::process::id()) {
            // The process is gone or belongs to another user; the loops below deal with either.
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
        self.remove_cgroup();
        Ok(())
    }

    fn kill(&mut self) -> Result<(), KeepError> {
        let start = Monotonic::now();
        let mut pause = FIRST_PAUSE;
        while self.reap()? {
            if since(start) > KILL_TIMEOUT {
                let left = Process::descendants_of(std::process::id());
                let left = left.iter().map(|one| format!("{} ({})", one.identity.pid, one.name));
                return Err(KeepError::Survivors(left.collect::<Vec<_>>().join(", ")));
            }
            self.kill_once();
            self.wakeups.wait(Some(pause))?;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        self.remove_cgroup();
        Ok(())
    }

    /// Kills the present descendants, and their process groups, which includes processes that are being forked. The
    /// engine leads a session of its own, so a process group of a descendant contains only descendants.
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

    /// Reaps every child that has ended. Returns `false` when no child is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Ok(WaitStatus::Exited(pid, code)) => self.report_end(pid, Some(code), None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.report_end(pid, None, Some(signal as i32)),
                // A child killed by a signal that nix cannot name is reaped as well.
                Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
                Err(Errno::ECHILD) => {
                    self.report_end(Pid::from_raw(self.engine_pid as i32), None, None);
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn report_end(&mut self, pid: Pid, code: Option<i32>, signal: Option<i32>) {
        if pid.as_raw() as u32 == self.engine_pid && !self.has_engine_ended {
            self.has_engine_ended = true;
            self.events.send(&KeepEvent::Ended { code, signal });
        }
    }

    fn remove_cgroup(&mut self) {
        if let Some(cgroup) = self.cgroup.take() {
            cgroup.remove();
        }
    }
}

fn since(start: Monotonic) -> Duration {
    Duration::from_secs_f64(Monotonic::now().sec_since(start).max(0.0))
}
