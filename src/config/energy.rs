use std::path::PathBuf;

use super::option::section;

section! {
    /// What the energy meter reads, and how often.
    pub struct Energy with EnergyFlags {
        /// Root of the powercap tree [default: perf_event where it may be opened, else /sys/class/powercap].
        ///
        /// RAPL is read from it where perf_event cannot be opened; naming it keeps perf_event out.
        rapl_root: PathBuf = "/sys/class/powercap";

        /// Path of libnvidia-ml.so [default: search the usual places].
        nvml_lib: PathBuf = "";

        /// Milliseconds between two samples, 5 to 10000.
        sample_interval_ms: u32 = 100;
    }
}

impl Energy {
    /// What the types cannot say. Each message names the option and what is accepted.
    pub(super) fn problems(&self) -> Option<String> {
        let interval = self.sample_interval_ms;
        (!(5..=10_000).contains(&interval))
            .then(|| format!("sample_interval_ms is {interval}; accepted are 5 to 10000"))
    }

    /// The library to read GPUs with; `None` searches the usual places.
    pub fn nvml_library(&self) -> Option<PathBuf> {
        (!self.nvml_lib.as_os_str().is_empty()).then(|| self.nvml_lib.clone())
    }
}
