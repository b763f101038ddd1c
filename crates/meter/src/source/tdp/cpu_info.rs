//! Reads the kernel's description of the host's CPUs: model, number, sockets, and whether they are a virtual machine's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::source::guest::{self, CpuSigns};

/// The facts about the host's CPUs from `/proc/cpuinfo` and `/sys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuInfo {
    /// Model name by the kernel; `None` when it states none.
    pub model: Option<String>,
    /// Number of logical CPUs in `cpuinfo`.
    pub logical_cpus: u32,
    /// Number of CPU packages (sockets).
    pub packages: u32,
    /// Number of logical CPUs of the whole host. In a container `cpuinfo` may list fewer.
    pub host_cpus: u32,
    /// Whether the host is a virtual machine.
    pub virtual_machine: bool,
    /// Sign that the host is a virtual machine; `None` when there is none.
    pub guest: Option<String>,
}

impl CpuInfo {
    /// Reads `cpuinfo` under `proc_root`, and the folder `sys` next to `proc_root`. A file that cannot be read counts
    /// as one CPU of an unknown model.
    pub fn read(proc_root: &Path) -> Self {
        let text = fs::read_to_string(proc_root.join("cpuinfo")).unwrap_or_default();
        Self::parse(&text, &proc_root.with_file_name("sys"))
    }

    /// Parses the text of `cpuinfo`.
    pub(super) fn parse(text: &str, sys_root: &Path) -> Self {
        let values = |key: &'static str| {
            text.lines().filter_map(move |line| {
                let (name, value) = line.split_once(':')?;
                (name.trim() == key).then(|| value.trim())
            })
        };
        let mut packages: Vec<&str> = values("physical id").collect();
        packages.sort_unstable();
        packages.dedup();
        let model = values("model name").next().map(str::to_owned);
        let logical_cpus = (values("processor").count() as u32).max(1);
        let (packages, topology) = ((packages.len() as u32).max(1), Topology::read(sys_root));
        let guest = guest::sign(
            sys_root,
            &CpuSigns {
                model: model.as_deref(),
                has_hypervisor_flag: values("flags")
                    .next()
                    .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
                listed: (logical_cpus.max(topology.cpus), packages.max(topology.packages)),
            },
        );
        Self {
            model,
            logical_cpus,
            packages: packages.max(topology.packages),
            host_cpus: logical_cpus.max(topology.cpus),
            virtual_machine: guest.is_some(),
            guest,
        }
    }
}

/// The CPUs in sysfs, which a container sees even where its `cpuinfo` lists only some of them; 0 when sysfs has none.
struct Topology {
    cpus: u32,
    packages: u32,
}

impl Topology {
    /// Counts the CPUs and packages.
    fn read(sys_root: &Path) -> Self {
        let cpus = fs::read_dir(sys_root.join("devices/system/cpu"))
            .into_iter()
            .flatten()
            .flatten();
        let is_cpu = |name: &str| {
            name.strip_prefix("cpu")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let package = |cpu: fs::DirEntry| {
            // A CPU that is switched off has no topology.
            let text = fs::read_to_string(cpu.path().join("topology/physical_package_id")).ok()?;
            Some(text.trim().to_owned())
        };
        let cpus = cpus.filter(|cpu| is_cpu(&cpu.file_name().to_string_lossy()));
        let packages: Vec<String> = cpus.filter_map(package).collect();
        Self {
            cpus: packages.len() as u32,
            packages: packages.iter().collect::<BTreeSet<_>>().len() as u32,
        }
    }
}
