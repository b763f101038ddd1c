//! Looks for every energy source that the host may have, opens those that work, and reports why the others do not and
//! the fix. Owns the order of preference. Leaves sampling to the meter.

use std::path::PathBuf;
use std::time::Duration;

use super::cpu_time::HostCpuClock;
use super::source::nvml::NvmlSource;
use super::source::perf_event::{PerfEventRoots, PerfEventSource};
use super::source::rapl::{Access, RaplSource};
use super::source::tdp::{CpuInfo, TdpSource};
use super::source::{CpuDevice, Devices, EnergySource, Finding, SourceDescription};
use joulemark_measurement::{EnergyDomain, EnergySourceKind};

/// The places in which sources are looked for, the sampling interval, and whether packages may be estimated.
///
/// Every root is a parameter, so that a test can use a folder. The default is a real host: `/sys`, `/proc`, the usual
/// names of the NVML library, 10 samples per second, and an estimate of the packages where RAPL cannot be read.
#[derive(Clone, Debug)]
pub struct EnergyOptions {
    /// The root of the powercap tree.
    pub rapl_root: PathBuf,
    /// The folders of the `power` PMU (perf_event), which is preferred to the powercap tree; `None` to use only the
    /// powercap tree.
    pub perf_event: Option<PerfEventRoots>,
    /// The NVML library to load; `None` for the usual names and folders.
    pub nvml_library: Option<PathBuf>,
    /// The proc file system, from which the CPU's model and the host's CPU time are read.
    pub proc_root: PathBuf,
    /// The cgroup file system, from which the host's CPU time is read.
    pub cgroup_root: PathBuf,
    /// The interval between two regular samples of every source, at least 5 ms.
    pub sample_interval: Duration,
    /// Whether the CPU packages are estimated where no counter of theirs can be read. Without the estimate their energy
    /// is then `None`.
    pub estimate: bool,
}

impl Default for EnergyOptions {
    fn default() -> Self {
        Self {
            rapl_root: PathBuf::from("/sys/class/powercap"),
            perf_event: Some(PerfEventRoots::default()),
            nvml_library: None,
            proc_root: PathBuf::from("/proc"),
            cgroup_root: PathBuf::from("/sys/fs/cgroup"),
            sample_interval: Duration::from_millis(100),
            estimate: true,
        }
    }
}

/// The sources that were found, ready for [`HostMeter::start`](crate::HostMeter::start).
pub struct FoundSources {
    /// The readers of the sources to sample. Readers may be added or removed before the meter starts.
    pub sources: Vec<Box<dyn EnergySource>>,
    /// The host's devices, and a finding for everything that was looked for.
    pub devices: Devices,
    /// The clock by which the host's energy is split; `None` where the host's CPU time cannot be read.
    pub host_cpu_clock: Option<HostCpuClock>,
    /// The interval between two regular samples of every source.
    pub sample_interval: Duration,
}

/// Opens every energy source of this host.
///
/// Never fails: a source that does not work has a finding with the reason. GPUs are read through NVML. CPU packages and
/// memory are read through perf_event, else through powercap. Where neither gives the packages, they are estimated from
/// nameplate power and CPU load, so that a host without any sensor has a `total_energy_j` too. An estimate has
/// [`EnergyMethod::Estimate`](crate::EnergyMethod::Estimate) as its `method`, and
/// [`Devices::cpu`]`.energy_source` is [`EnergySourceKind::TdpEstimate`]. [`EnergyOptions::estimate`] leaves it out;
/// the energy of the packages is then `None`.
///
/// Blocks for milliseconds, or while the NVIDIA driver wakes its boards: one or two seconds for each board without
/// persistence mode. A driver that hangs is given up after 30 s.
///
/// # Examples
///
/// ```
/// use joulemark_meter::{EnergyOptions, open};
///
/// let found = open(&EnergyOptions::default());
/// for finding in &found.devices.findings {
///     let state = if finding.works { "works" } else { "does not work" };
///     println!("{} {state}: {}", finding.subject, finding.detail);
/// }
/// ```
pub fn open(options: &EnergyOptions) -> FoundSources {
    let mut sources: Vec<Box<dyn EnergySource>> = Vec::new();
    let (nvml, gpus, mut findings) = NvmlSource::open(options.nvml_library.as_deref());
    sources.extend(nvml.into_iter().map(|board| Box::new(board) as Box<dyn EnergySource>));

    let cpu = CpuInfo::read(&options.proc_root);
    let rapl = open_rapl(options, &cpu);
    let rapl_kind = rapl.packages;
    let rapl_problem = rapl_kind.is_none().then(|| problem_of(&rapl.findings));
    sources.extend(rapl.source);
    findings.extend(rapl.findings);

    let host_cpu_clock = HostCpuClock::open(&options.proc_root, &options.cgroup_root);
    let mut energy_source = rapl_kind;
    if rapl_kind.is_none() && options.estimate {
        let estimate = host_cpu_clock
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|clock| TdpSource::open(&cpu, clock.clone()).map_err(|error| error.to_string()));
        match estimate {
            Ok((estimate, finding)) => {
                energy_source = Some(EnergySourceKind::TdpEstimate);
                sources.push(Box::new(estimate));
                findings.push(finding);
            }
            Err(why) => findings.push(Finding {
                source: EnergySourceKind::TdpEstimate,
                subject: "CPU packages".to_owned(),
                works: false,
                detail: format!("no CPU time to estimate from: {why}"),
                fix: None,
            }),
        }
    }
    let cpu = CpuDevice {
        model: cpu.model,
        logical_cpus: cpu.logical_cpus,
        energy_source,
        rapl_problem,
        cpu_time_source: host_cpu_clock.as_ref().ok().map(HostCpuClock::describe),
        live_power_w: None,
    };
    FoundSources {
        sources,
        devices: Devices { gpus, cpu, findings },
        host_cpu_clock: host_cpu_clock.ok(),
        sample_interval: options.sample_interval,
    }
}

/// The result of opening RAPL.
struct Rapl {
    source: Option<Box<dyn EnergySource>>,
    /// The interface by which the packages are read; `None` when they are not.
    packages: Option<EnergySourceKind>,
    findings: Vec<Finding>,
}

/// Opens one of the two interfaces to the same registers, never both: perf_event where it gives the packages, else
/// powercap.
fn open_rapl(options: &EnergyOptions, cpu: &CpuInfo) -> Rapl {
    let mut findings = Vec::new();
    if let Some(roots) = &options.perf_event {
        let (perf, of_perf) = PerfEventSource::open_on(roots, cpu.guest.as_deref());
        findings.extend(of_perf);
        if perf.has_packages() {
            let source: Box<dyn EnergySource> = Box::new(perf);
            let packages = Some(EnergySourceKind::RaplPerfEvent);
            return Rapl {
                source: Some(source),
                packages,
                findings,
            };
        }
    }
    let usual = EnergyOptions::default();
    // Where only the powercap root was changed, a wrong path is likelier than a host without RAPL.
    let is_elsewhere = options.proc_root == usual.proc_root && options.rapl_root != usual.rapl_root;
    let access = Access::read(&options.proc_root, cpu, is_elsewhere);
    let (powercap, of_powercap) = RaplSource::open_with(&options.rapl_root, cpu.model.as_deref(), access);
    // The powercap findings come first: their fix is the one that most hosts need.
    findings.splice(0..0, of_powercap);
    let is_package = |description: &SourceDescription| description.id.domain == EnergyDomain::Package;
    let packages = powercap
        .sources()
        .iter()
        .any(is_package)
        .then_some(EnergySourceKind::RaplPowercap);
    let source = (!powercap.sources().is_empty()).then(|| Box::new(powercap) as Box<dyn EnergySource>);
    Rapl {
        source,
        packages,
        findings,
    }
}

/// Returns the text of the first finding that does not work, preferably one with a fix.
fn problem_of(rapl_findings: &[Finding]) -> String {
    let problem = rapl_findings
        .iter()
        .find(|finding| !finding.works && finding.fix.is_some());
    let problem = problem.or_else(|| rapl_findings.iter().find(|finding| !finding.works));
    match problem {
        Some(finding) => finding.detail_and_fix(),
        None => "the RAPL tree has no package zone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn options(root: &tempfile::TempDir) -> EnergyOptions {
        let proc_root = root.path().join("proc");
        fs::create_dir_all(&proc_root).expect("a folder");
        fs::write(proc_root.join("stat"), "cpu 5 0 5 5 0 0 0 0 0 0\n").expect("stat");
        fs::write(proc_root.join("cpuinfo"), "processor : 0\nmodel name : AMD EPYC 7763\n").expect("cpuinfo");
        EnergyOptions {
            rapl_root: root.path().join("powercap"),
            perf_event: None,
            nvml_library: Some(root.path().join("no-such-nvml.so")),
            proc_root,
            cgroup_root: root.path().join("cgroup"),
            sample_interval: Duration::from_millis(10),
            estimate: true,
        }
    }

    fn zone(options: &EnergyOptions, path: &str, name: &str) {
        let folder = options.rapl_root.join(path);
        fs::create_dir_all(&folder).expect("a zone");
        fs::write(folder.join("name"), name).expect("a name");
        fs::write(folder.join("energy_uj"), "1").expect("a counter");
    }

    #[test]
    fn without_rapl_the_estimate_takes_over_and_the_reason_is_reported() {
        let root = tempfile::tempdir().expect("a folder");
        let found = open(&options(&root));
        assert_eq!(found.devices.cpu.energy_source, Some(EnergySourceKind::TdpEstimate));
        assert!(found.devices.cpu.rapl_problem.expect("a reason").contains("Fix:"));
        assert_eq!(found.sources.len(), 1);
        assert!(
            found
                .devices
                .findings
                .iter()
                .any(|finding| finding.source == EnergySourceKind::Nvml && !finding.works)
        );
    }

    #[test]
    fn the_estimate_can_be_left_out() {
        let root = tempfile::tempdir().expect("a folder");
        let found = open(&EnergyOptions {
            estimate: false,
            ..options(&root)
        });
        assert!(found.sources.is_empty());
        assert_eq!(found.devices.cpu.energy_source, None);
        assert!(found.devices.cpu.rapl_problem.is_some(), "the reason is still reported");
    }

    #[test]
    fn with_a_package_counter_there_is_no_estimate() {
        let root = tempfile::tempdir().expect("a folder");
        let options = options(&root);
        zone(&options, "intel-rapl:0", "package-0");
        let found = open(&options);
        assert_eq!(found.devices.cpu.energy_source, Some(EnergySourceKind::RaplPowercap));
        assert_eq!(found.devices.cpu.rapl_problem, None);
        assert!(
            !found
                .devices
                .findings
                .iter()
                .any(|finding| finding.source == EnergySourceKind::TdpEstimate)
        );
    }

    #[test]
    fn psys_alone_does_not_stand_in_for_the_packages() {
        let root = tempfile::tempdir().expect("a folder");
        let options = options(&root);
        zone(&options, "intel-rapl:1", "psys");
        let found = open(&options);
        assert_eq!(found.devices.cpu.energy_source, Some(EnergySourceKind::TdpEstimate));
        assert_eq!(found.sources.len(), 2);
        assert_eq!(
            found.devices.cpu.rapl_problem.as_deref(),
            Some("the RAPL tree has no package zone")
        );
    }

    #[test]
    fn a_host_with_nothing_opens_with_findings_and_no_source() {
        let root = tempfile::tempdir().expect("a folder");
        let options = EnergyOptions {
            proc_root: root.path().join("none"),
            ..options(&root)
        };
        let found = open(&options);
        assert!(found.sources.is_empty());
        assert!(found.devices.findings.iter().all(|finding| !finding.works));
    }
}
