//! The host's processes, as `/proc` shows them.

use std::collections::BTreeMap;
use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What tells a process from all others of this boot: a number is used again, a number and a start time are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks from the boot to its start.
    pub start_time_ticks: u64,
}

impl Identity {
    /// Returns the identity of this process; `None` where there is no `/proc`.
    pub fn own() -> Option<Self> {
        Process::read(std::process::id()).map(|process| process.identity)
    }

    /// Tells whether the process still runs; one that only waits to be reaped does not.
    pub fn is_alive(self) -> bool {
        Process::read(self.pid).is_some_and(|process| process.identity == self && process.is_alive)
    }
}

/// One process at the moment of the look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub identity: Identity,
    pub parent: u32,
    pub group: u32,
    pub session: u32,
    pub name: String,
    /// It does not only wait to be reaped.
    pub is_alive: bool,
}

impl Process {
    /// Returns the process with this number; `None` when there is none.
    pub fn read(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat))
    }

    fn parse(pid: u32, stat: &str) -> Option<Self> {
        // The name may hold anything, parentheses and blanks too.
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // proc(5) counts from 1 and has two fields before these.
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

    /// Returns every process of the host, dead ones that wait to be reaped among them.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::read).collect()
    }

    /// Returns the living descendants of a process, at any depth.
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

    /// Sends a signal to this very process, and to no other that has its number by now.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, else the operating system's.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        // Between look and signal lie microseconds; a number comes again after all others were used.
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
    fn a_name_with_blanks_and_parentheses_is_read_whole() {
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
    fn a_number_that_is_used_again_is_another_process() {
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
