//! The energy options that `meter` and `doctor` share with the service, and what they mean for the meter.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use toml::Table;

use crate::config::{self, Layered, Origin};
use joulemark_meter::{EnergyOptions, PerfEventRoots};

// Not a doc comment: clap would show it as the description of every command that these options are part of. What is
// not given here comes from the environment (`JOULEMARK_…`), then from the file that JOULEMARK_CONFIG names, then from
// the default, as for the service.
#[derive(Debug, Args, Serialize)]
pub struct EnergyArguments {
    /// Root of the powercap tree [default: perf_event where it may be opened, else /sys/class/powercap].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rapl_root: Option<PathBuf>,
    /// Path of libnvidia-ml.so [default: search the usual places].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    nvml_lib: Option<PathBuf>,
    /// Milliseconds between two samples, 5 to 10000 [default: 100].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_interval_ms: Option<u32>,
}

impl EnergyArguments {
    /// Reads the options with what the environment and the file say.
    ///
    /// # Errors
    /// When one of the three is not usable.
    pub fn load(&self) -> anyhow::Result<EnergyOptions> {
        Ok(options(&self.load_with(Table::new())?))
    }

    /// Reads the configuration, with `more` flags beside these.
    ///
    /// # Errors
    /// As [`EnergyArguments::load`].
    pub fn load_with(&self, more: Table) -> anyhow::Result<Layered> {
        let mut flags = Table::try_from(self).context("the flags cannot be read")?;
        flags.extend(more);
        let file = std::env::var_os("JOULEMARK_CONFIG").map(PathBuf::from);
        Ok(config::load(file.as_deref(), |name| std::env::var(name).ok(), flags)?)
    }
}

/// The meter's options of a configuration. A powercap root that somebody named is read; left alone, perf_event goes
/// first: it is 64 bits wide and needs no file permissions.
pub fn options(layered: &Layered) -> EnergyOptions {
    let settings = &layered.settings;
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
    use toml::Value;

    use super::*;

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
