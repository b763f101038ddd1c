//! What the energy options, which `meter` and `doctor` share with the service, mean for the meter.

use std::time::Duration;

use crate::config::{Layered, Origin};
use joulemark_meter::{EnergyOptions, PerfEventRoots};

/// The meter's options of a configuration. A powercap root that somebody named is read; left alone, perf_event goes
/// first: it is 64 bits wide and needs no file permissions.
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
    fn a_powercap_root_that_is_named_keeps_perf_event_out_even_when_it_is_the_default_one() {
        assert!(loaded(&[]).perf_event.is_some());
        assert!(loaded(&[("nvml_lib", "/x/libnvidia-ml.so")]).perf_event.is_some());
        let named = loaded(&[("rapl_root", "/sys/class/powercap")]);
        assert_eq!(
            (named.perf_event, named.rapl_root),
            (None, PathBuf::from("/sys/class/powercap"))
        );
    }
}
