//! Defines the folders in which the kernel describes its `power` PMU.

use std::path::PathBuf;

/// The folders in which the kernel describes its `power` PMU and the packages of its CPUs. Tests use other folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerfEventRoots {
    /// Folder of the PMU.
    pub pmu: PathBuf,
    /// Folder of the CPUs, with their topology.
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
