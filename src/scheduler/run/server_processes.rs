use std::sync::atomic::{AtomicU32, Ordering};

use joulemark_experiment::{Warning, WarningCode};
use joulemark_meter::{CpuTimeError, HostMeter};
use joulemark_process_discovery::{NotFound, Served, find};

use crate::config::EngineSettings;
use crate::engines::attached::ways_to_find;

/// The processes of a server that runs an experiment.
pub enum Processes {
    /// The pid of the keeper that started it.
    Started(u32),
    Found {
        served: Served,
        /// The number under which its unit's CPU time is followed.
        unit: Option<u32>,
    },
    /// Why they cannot be told.
    Unknown(String),
}

impl Processes {
    /// Finds those of a server that runs already.
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

    /// Lists those that the meter follows, each with all that it started; none where they cannot be told.
    pub fn followed(&self) -> Vec<u32> {
        match self {
            Self::Started(keeper) => vec![*keeper],
            Self::Found { unit: Some(unit), .. } => vec![*unit],
            Self::Found { served, unit: None } => served.pids.clone(),
            Self::Unknown(_) => Vec::new(),
        }
    }

    /// Has `meter` follow their CPU time: a unit's as a whole, else each process with all that it starts. Blocks on /proc.
    ///
    /// # Errors
    /// The first that cannot be followed.
    pub fn follow(&self, meter: &HostMeter) -> Result<(), CpuTimeError> {
        if let Self::Found {
            served,
            unit: Some(unit),
        } = self
            && let Some(clock) = &served.unit_cpu
        {
            return meter.track_group(*unit, clock.clone());
        }
        self.followed().into_iter().try_for_each(|pid| meter.track(pid))
    }

    /// Lists those of now that may compute on GPUs: what is followed with all that it started. Blocks on /proc.
    pub fn computing(&self, meter: &HostMeter) -> Vec<u32> {
        let mut computing: Vec<u32> = self.followed().iter().flat_map(|pid| meter.family(*pid)).collect();
        if let Self::Found { served, .. } = self {
            computing.extend(served.in_unit());
        }
        computing
    }

    /// Warns where they cannot be told, or were not found as the configuration says.
    pub fn warning(&self) -> Option<Warning> {
        let message = match self {
            Self::Unknown(why) => format!("no energy of the host is attributed to the engine: {why}"),
            Self::Found { served, .. } if !served.passed_over.is_empty() => {
                let why: Vec<_> = served.passed_over.iter().map(NotFound::to_string).collect();
                let (by, why) = (&served.found_by, why.join("; "));
                format!("the engine's processes are those of {by}, which it was not to be found by: {why}")
            }
            Self::Started(_) | Self::Found { .. } => return None,
        };
        Some(Warning {
            code: WarningCode::EngineNotFound,
            message,
        })
    }
}

/// Returns a number that no process has: the kernel's end far below.
fn unused_number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(u32::MAX);
    LAST.fetch_sub(1, Ordering::Relaxed)
}
