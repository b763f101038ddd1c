//! Options of the energy meter.

use std::path::PathBuf;

use super::option::section;

section! {
    /// Options of the energy meter.
    pub struct Energy with EnergyFlags {
        /// Root of the powercap tree [default: /sys/class/powercap, used only where perf_event cannot be opened].
        ///
        /// If it is set, RAPL is read from this tree and perf_event is not used.
        rapl_root: PathBuf = "/sys/class/powercap";

        /// Path of libnvidia-ml.so [default: the usual places].
        nvml_lib: PathBuf = "";

        /// Interval between two samples, in milliseconds, 5 to 10000.
        sample_interval_ms: u32 = 100;
    }
}

impl Energy {
    /// Returns the problem of the options, if any. The message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        let interval = self.sample_interval_ms;
        (!(5..=10_000).contains(&interval))
            .then(|| format!("sample_interval_ms is {interval}; accepted are 5 to 10000"))
    }

    /// Returns the path of the NVML library; `None` searches the usual places.
    pub fn nvml_library(&self) -> Option<PathBuf> {
        (!self.nvml_lib.as_os_str().is_empty()).then(|| self.nvml_lib.clone())
    }
}
