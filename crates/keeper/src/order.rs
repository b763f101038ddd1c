//! The messages between server and keeper, as JSON lines. Both are the same build, so the protocol has no version.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The order that a keeper reads as one line from its standard input. The end of the input ends the engine. Does not
/// implement `Debug`, because the environment may contain secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepOrder {
    /// The program and its arguments, passed on without a shell.
    pub command: Vec<String>,
    /// The complete environment of the engine, except the mark that the keeper adds.
    pub environment: Vec<(String, String)>,
    /// Logical CPUs to run on; empty for all.
    pub cpus: Vec<u32>,
    /// The folder for the records of keepers, which only this user can write to; created when it is missing.
    pub record_dir: PathBuf,
    /// Time between SIGTERM and SIGKILL in milliseconds.
    pub grace_ms: u64,
    /// The cgroup (v2) folder in which the keeper creates a cgroup for the engine when it can (see
    /// [`crate::own_cgroup`]); `None` to use only the process tree.
    #[serde(default)]
    pub cgroup_parent: Option<PathBuf>,
}

/// An event that a keeper reports to the server, as one line on file descriptor 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum KeepEvent {
    /// The engine's program is running.
    Started {
        pid: u32,
        /// Field 22 of `/proc/<pid>/stat`, which distinguishes the process from a later one with the same pid.
        start_time_ticks: u64,
        /// The cgroup that contains the engine and every process it starts, and no others; `None` when there is none.
        cgroup: Option<PathBuf>,
    },
    /// The engine's process has ended; its descendants are ended next. Both fields are `None` when the exit status
    /// could not be determined.
    Ended { code: Option<i32>, signal: Option<i32> },
    /// The engine was not started, or not all of its processes could be ended.
    Failed { message: String },
}
