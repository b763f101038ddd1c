//! Finds and tracks the processes of a server.

use std::sync::atomic::{AtomicU32, Ordering};

use joulemark_experiment::{Warning, WarningCode};
use joulemark_meter::{CpuTimeError, HostMeter};
use joulemark_process_discovery::{NotFound, Served, find};

use crate::config::EngineSettings;
use crate::engines::attached::ways_to_find;

/// The processes of a server that runs an experiment.
pub enum Processes {
    /// Process id of the keeper that started the server.
    Started(u32),
    Found {
        served: Served,
        /// Number under which the meter tracks the CPU time of its systemd unit.
        unit: Option<u32>,
    },
    /// Reason why they are unknown.
    Unknown(String),
}

impl Processes {
    /// Finds the processes of a server that is already running.
    pub async fn find(settings: &EngineSettings) -> Self {
        let by = ways_to_find(settings);
        match tokio::task::spawn_blocking(move || find(&by)).await {
            Ok(Ok(served)) => Self::Found {
                unit: served.unit_cpu.as_ref().map(|_| unused_number()),
                served,
            },
            Ok(Err(why)) => Self::Unknown(why.to_string()),
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    /// Returns the processes that the meter tracks, each including its descendants; empty when they are unknown.
    pub fn followed(&self) -> Vec<u32> {
        match self {
            Self::Started(keeper) => vec![*keeper],
            Self::Found { unit: Some(unit), .. } => vec![*unit],
            Self::Found { served, unit: None } => served.pids.clone(),
            Self::Unknown(_) => Vec::new(),
        }
    }

    /// Makes `meter` track their CPU time: of a unit as a whole, otherwise of each process with its descendants. Blocks
    /// on /proc.
    ///
    /// # Errors
    /// Returns the first error.
    pub fn follow(&self, meter: &HostMeter) -> Result<(), CpuTimeError> {
        if let Self::Found {
            served,
            unit: Some(unit),
        } = self
            && let Some(clock) = &served.unit_cpu
        {
            return meter.track_cgroup(*unit, clock.clone());
        }
        self.followed().into_iter().try_for_each(|pid| meter.track(pid))
    }

    /// Returns the processes that may compute on GPUs now: the tracked ones with their descendants. Blocks on /proc.
    pub fn computing(&self, meter: &HostMeter) -> Vec<u32> {
        let mut computing: Vec<u32> = self
            .followed()
            .iter()
            .flat_map(|pid| meter.process_tree(*pid))
            .collect();
        if let Self::Found { served, .. } = self {
            computing.extend(served.in_unit());
        }
        computing
    }

    /// Returns a warning when the processes are unknown, or were not found in the way that the configuration prefers.
    pub fn warning(&self) -> Option<Warning> {
        let message = match self {
            Self::Unknown(why) => format!("no energy of the host is attributed to the engine: {why}"),
            Self::Found { served, .. } if !served.passed_over.is_empty() => {
                let why: Vec<_> = served.passed_over.iter().map(NotFound::to_string).collect();
                let (by, why) = (&served.found_by, why.join("; "));
                format!("the engine's processes were found by {by}, since the configured way failed: {why}")
            }
            Self::Started(_) | Self::Found { .. } => return None,
        };
        Some(Warning {
            code: WarningCode::EngineNotFound,
            message,
        })
    }
}

/// Returns a number that is no process id: the kernel's maximum is far below.
fn unused_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(u32::MAX);
    LAST.fetch_sub(1, Ordering::Relaxed)
}
