//! Reads the kernel's description of its `power` PMU: events, scales, and one CPU for each package. Opens no event.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::roots::PerfEventRoots;
use joulemark_measurement::EnergyDomain;
use joulemark_measurement::quoted;

/// Kernel name of an event, its domain, and powercap's name of the same zone (`None` for a package, which has a
/// number).
const DOMAINS: [(&str, EnergyDomain, Option<&str>); 5] = [
    ("energy-pkg", EnergyDomain::Package, None),
    ("energy-ram", EnergyDomain::Dram, Some("dram")),
    ("energy-cores", EnergyDomain::Core, Some("core")),
    ("energy-gpu", EnergyDomain::Uncore, Some("uncore")),
    ("energy-psys", EnergyDomain::Psys, Some("psys")),
];

/// The kernel's `power` PMU.
#[derive(Debug)]
pub struct Pmu {
    /// Value of `perf_event_attr.type`.
    pub kind: u32,
    /// Its energy events.
    pub events: Vec<Event>,
    /// Descriptions of events that are left out because they are not understood.
    pub not_understood: Vec<String>,
}

/// One energy event on one CPU.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// The kernel's name of the event.
    pub name: &'static str,
    /// Domain of the energy.
    pub domain: EnergyDomain,
    /// Name of the zone as powercap has it: `package-0`, `package-0-die-1`, `dram`, …
    pub zone: String,
    /// Value of `perf_event_attr.config`.
    pub config: u64,
    /// Energy of one count in J.
    pub joules_per_count: f64,
    /// CPU that counts for the whole package.
    pub cpu: u32,
}

impl Event {
    /// Returns a path that distinguishes equal zones of several packages.
    pub fn path(&self) -> String {
        format!("power/{}/cpu{}", self.name, self.cpu)
    }
}

/// The reason why the PMU cannot be used.
#[derive(Debug, Error)]
pub enum PmuError {
    /// A file of the PMU cannot be read.
    #[error("no perf_event RAPL: {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// The type is not a number.
    #[error("the PMU's type is {}, which is not a number", quoted(.0))]
    Type(String),
    /// The CPU mask is not a list of CPUs.
    #[error("the PMU's cpumask is {}, which is not a list of CPUs", quoted(.0))]
    CpuMask(String),
    /// The PMU has no known energy event.
    #[error("{} lists no energy event", .0.display())]
    NoEvent(PathBuf),
}

/// Reads every known event of the PMU on each CPU of its `cpumask`. The kernel lists one CPU for each package, or for
/// each die where a package has several; an event on another CPU would repeat it.
///
/// # Errors
/// Returns a [`PmuError`] when there is no event to read.
pub fn read(roots: &PerfEventRoots) -> Result<Pmu, PmuError> {
    let text = |path: &Path| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let needed = |name: &str| {
        let path = roots.pmu.join(name);
        text(&path).map_err(|error| PmuError::Unreadable { path, error })
    };
    let kind = needed("type")?;
    let kind = kind.parse().map_err(|_| PmuError::Type(kind))?;
    let cpumask = needed("cpumask")?;
    let cpus = cpu_list(&cpumask).ok_or(PmuError::CpuMask(cpumask))?;
    let (mut events, mut not_understood) = (Vec::new(), Vec::new());
    for (name, domain, zone) in DOMAINS {
        let file = roots.pmu.join("events").join(name);
        let Ok(config) = text(&file) else { continue };
        let beside = |end: &str| text(&file.with_file_name(format!("{name}.{end}"))).unwrap_or_default();
        let (scale, unit) = (beside("scale"), beside("unit"));
        let (Some(config), Some(joules_per_count), "Joules") = (event_code(&config), factor(&scale), &*unit) else {
            not_understood.push(format!(
                "{name} is {config} with scale {scale} and unit {unit}, which is not understood",
                config = quoted(&config),
                scale = quoted(&scale),
                unit = quoted(&unit)
            ));
            continue;
        };
        events.extend(cpus.iter().map(|cpu| Event {
            name,
            domain,
            zone: zone.map_or_else(|| package_of(&roots.cpus, *cpu, &cpus), str::to_owned),
            config,
            joules_per_count,
            cpu: *cpu,
        }));
    }
    if events.is_empty() && not_understood.is_empty() {
        return Err(PmuError::NoEvent(roots.pmu.clone()));
    }
    Ok(Pmu {
        kind,
        events,
        not_understood,
    })
}

/// Parses a list of CPUs, such as `0,18` or `0-1,8`.
fn cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.trim().parse::<u32>().ok()?..=last.trim().parse::<u32>().ok()?);
    }
    (!cpus.is_empty()).then_some(cpus)
}

/// Parses the code of an event, such as `event=0x02`. The PMU's format has only this field, the lowest byte.
fn event_code(text: &str) -> Option<u64> {
    let code = text.strip_prefix("event=")?;
    match code.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => code.parse().ok(),
    }
}

/// Parses a scale, which must be positive.
fn factor(text: &str) -> Option<f64> {
    text.parse()
        .ok()
        .filter(|factor: &f64| factor.is_finite() && *factor > 0.0)
}

/// Returns the package's name as powercap has it, with the die only where a package has several.
fn package_of(cpus_root: &Path, cpu: u32, all: &[u32]) -> String {
    let topology = |cpu: u32, name: &str| -> Option<u32> {
        let file = cpus_root.join(format!("cpu{cpu}/topology/{name}"));
        fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    let Some(package) = topology(cpu, "physical_package_id") else {
        return format!("package-of-cpu{cpu}");
    };
    let in_package = all
        .iter()
        .filter(|other| topology(**other, "physical_package_id") == Some(package));
    match topology(cpu, "die_id") {
        Some(die) if in_package.count() > 1 => format!("package-{package}-die-{die}"),
        _ => format!("package-{package}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read_as_the_kernel_writes_them() {
        assert_eq!(cpu_list("0"), Some(vec![0]));
        assert_eq!(cpu_list("0,18"), Some(vec![0, 18]));
        assert_eq!(cpu_list("0-2,8"), Some(vec![0, 1, 2, 8]));
        assert_eq!((cpu_list(""), cpu_list("all")), (None, None));
    }

    #[test]
    fn event_codes_are_hexadecimal_or_decimal() {
        assert_eq!(event_code("event=0x02"), Some(2));
        assert_eq!(event_code("event=5"), Some(5));
        assert_eq!(event_code("config=0x02"), None);
    }
}
