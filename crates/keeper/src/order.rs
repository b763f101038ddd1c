//! What server and keeper say to each other, in JSON lines. Both are the same build, so that no version is named.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The one order of a keeper, a line on its standard input. The end of the input ends the engine. It has no `Debug`, since
/// an environment may hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepOrder {
    /// The program and its arguments, handed over as they are: no shell reads them.
    pub command: Vec<String>,
    /// All of the engine's environment, but for the mark that the keeper adds.
    pub environment: Vec<(String, String)>,
    /// Logical CPUs to run on; empty for all.
    pub cpus: Vec<u32>,
    /// The folder of the keepers' records, which this user alone writes to; made where it is missing.
    pub record_dir: PathBuf,
    /// Milliseconds that the engine has from SIGTERM to SIGKILL.
    pub grace_ms: u64,
    /// The folder of cgroup v2 in which the engine gets one of its own, where that can be had ([`crate::own_cgroup`]);
    /// `None` to go by the process tree alone.
    #[serde(default)]
    pub cgroup_parent: Option<PathBuf>,
}

/// What a keeper tells the server, a line each on descriptor 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum KeepEvent {
    /// The engine's program runs.
    Started {
        pid: u32,
        /// Field 22 of `/proc/<pid>/stat`, which tells the process from a later one with the same number.
        start_time_ticks: u64,
        /// The cgroup that holds the engine and all that it starts, and nothing else; `None` where there is none.
        cgroup: Option<PathBuf>,
    },
    /// The engine's own process ended, by itself or as asked; what it started is ended next. Both are `None` when nobody
    /// could see how.
    Ended { code: Option<i32>, signal: Option<i32> },
    /// The engine was not started, or not all of it could be ended.
    Failed { message: String },
}
