//! The folders in which the kernel describes its `power` PMU; a test hands in its own.

use std::path::PathBuf;

/// The folders in which the kernel describes its `power` PMU and the packages of its CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerfEventRoots {
    /// The PMU's folder.
    pub pmu: PathBuf,
    /// The folder of the CPUs' topology.
    pub cpus: PathBuf,
}

impl Default for PerfEventRoots {
    fn default() -> Self {
        Self {
            pmu: PathBuf::from("/sys/bus/event_source/devices/power"),
            cpus: PathBuf::from("/sys/devices/system/cpu"),
        }
    }
}
