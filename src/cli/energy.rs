//! Converts the energy settings to options of the meter. `serve`, `meter` and `doctor` share it.

use std::time::Duration;

use crate::config::{Layered, Origin};
use joulemark_meter::{EnergyOptions, PerfEventRoots};

/// Returns the meter's options. RAPL is read through powercap when its root is set explicitly, and otherwise first
/// through perf_event, whose counters have 64 bits and need no file permissions.
pub fn options(layered: &Layered) -> EnergyOptions {
    let settings = &layered.settings.energy;
    let is_root_named = layered
        .origins
        .get("rapl_root")
        .is_some_and(|origin| *origin != Origin::Default);
    EnergyOptions {
        rapl_root: settings.rapl_root.clone(),
        perf_event: (!is_root_named).then(PerfEventRoots::default),
        nvml_library: settings.nvml_library(),
        sample_interval: Duration::from_millis(u64::from(settings.sample_interval_ms)),
        ..EnergyOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use toml::Value;

    use super::*;
    use crate::config;

    fn loaded(flags: &[(&str, &str)]) -> EnergyOptions {
        let flags = flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::String((*value).to_owned())));
        options(&config::load(None, |_| None, flags.collect()).unwrap())
    }

    #[test]
    fn an_explicit_powercap_root_disables_perf_event_even_when_it_equals_the_default() {
        assert!(loaded(&[]).perf_event.is_some());
        assert!(loaded(&[("nvml_lib", "/x/libnvidia-ml.so")]).perf_event.is_some());
        let named = loaded(&[("rapl_root", "/sys/class/powercap")]);
        assert_eq!(
            (named.perf_event, named.rapl_root),
            (None, PathBuf::from("/sys/class/powercap"))
        );
    }
}
