//! The processes of the host, as read from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// Identifies a process within one boot: a pid is reused, a pid with a start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks between the boot and the start of the process.
    pub start_time_ticks: u64,
}

impl Identity {
    /// Returns the identity of this process; `None` when `/proc` is not mounted.
    pub fn own() -> Option<Self> {
        Process::read(std::process::id()).map(|process| process.identity)
    }

    /// Returns whether the process is still running; `false` for a zombie.
    pub fn is_alive(self) -> bool {
        Process::read(self.pid).is_some_and(|process| process.identity == self && process.is_alive)
    }
}

/// A process at the time when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub identity: Identity,
    pub parent: u32,
    pub group: u32,
    pub session: u32,
    pub name: String,
    /// `false` for a zombie.
    pub is_alive: bool,
}

impl Process {
    /// Returns the process with this pid; `None` when there is none.
    pub fn read(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat))
    }

    fn parse(pid: u32, stat: &str) -> Option<Self> {
        // The name can contain any character, including parentheses and spaces.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // proc(5) counts fields from 1, and two fields precede these.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            identity: Identity {
                pid,
                start_time_ticks: field(22)?.parse().ok()?,
            },
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            name: name.to_owned(),
            is_alive: !matches!(field(3)?, "Z" | "X" | "x"),
        })
    }

    /// Returns every process of the host, including zombies.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).collect()
    }

    /// Returns the running descendants of a process, at any depth.
    pub fn descendants_of(root: u32) -> Vec<Self> {
        let mut children: BTreeMap<u32, Vec<Self>> = BTreeMap::new();
        for process in Self::all() {
            children.entry(process.parent).or_default().push(process);
        }
        let mut parents = vec![root];
        let mut found = Vec::new();
        while let Some(parent) = parents.pop() {
            for child in children.remove(&parent).unwrap_or_default() {
                parents.push(child.identity.pid);
                found.push(child);
            }
        }
        found.retain(|process| process.is_alive);
        found
    }

    /// Sends a signal to this process, but not to a later one with the same pid.
    ///
    /// # Errors
    /// Returns `ESRCH` when the process is gone, or the error of the operating system.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        // Check and signal are microseconds apart; a pid is reused only after all others.
        if !self.identity.is_alive() {
            return Err(Errno::ESRCH);
        }
        kill(Pid::from_raw(self.identity.pid as i32), signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read_whole() {
        let line = "7 (a) S (b) R 3 5 6 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 999 1 2";
        let expected = Process {
            identity: Identity {
                pid: 7,
                start_time_ticks: 999,
            },
            parent: 3,
            group: 5,
            session: 6,
            name: "a) S (b".to_owned(),
            is_alive: true,
        };
        assert_eq!(Process::parse(7, line), Some(expected));
        assert_eq!(Process::parse(7, "7 (cut"), None);
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let own = Identity::own().expect("this process");
        assert!(own.is_alive());
        let earlier = Identity {
            start_time_ticks: own.start_time_ticks - 1,
            ..own
        };
        assert!(!earlier.is_alive());
        let mut process = Process::read(own.pid).expect("this process");
        process.identity = earlier;
        assert_eq!(process.signal(Signal::SIGKILL), Err(Errno::ESRCH));
    }
}
