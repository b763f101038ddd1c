//! The fallback where no package counter is readable: energy as nameplate power times measured utilisation.
//!
//! An estimate, and always said to be one. Owns the model and its assumptions. Deliberately does not guess at memory:
//! an unknown DRAM stays unknown.

use std::fs;
use std::path::Path;

use super::tdp_table::{self, Nameplate};
use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value};
use crate::cpu_time::{CpuTimeError, HostCpuClock};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Power of an idle CPU as a part of its full power. Cloud Carbon Footprint's coefficients, fitted to SPECpower_ssj
/// results, have 0.16 for Skylake and Cascade Lake and 0.24 for EPYC Milan.
const IDLE_FRACTION: f64 = 0.2;

/// Full power of one logical CPU of an unknown model; the same coefficients run from 1.6 W (EPYC Rome) to 6 W (Haswell).
const DEFAULT_W_PER_LOGICAL_CPU: f64 = 3.5;

/// Published tests find TDP-based tools up to 40 % off with the model known (arXiv 2509.22092).
const KNOWN_MODEL_UNCERTAINTY: f64 = 0.4;

/// 3.5 W ± 70 % is 1.05 to 5.95 W: the range above.
const UNKNOWN_MODEL_UNCERTAINTY: f64 = 0.7;

/// The facts about the host's CPUs that `/proc/cpuinfo` states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuInfo {
    /// The model as the kernel names it.
    pub model: Option<String>,
    /// Logical CPUs.
    pub logical_cpus: u32,
    /// CPU packages, that is sockets.
    pub packages: u32,
    /// Whether the host is a virtual machine.
    pub virtual_machine: bool,
}

impl CpuInfo {
    /// Reads `cpuinfo` under `proc_root`. A file that cannot be read counts as one CPU of an unknown model.
    pub fn read(proc_root: &Path) -> Self {
        Self::parse(&fs::read_to_string(proc_root.join("cpuinfo")).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let values = |key: &'static str| {
            text.lines().filter_map(move |line| {
                let (name, value) = line.split_once(':')?;
                (name.trim() == key).then(|| value.trim())
            })
        };
        let mut packages: Vec<&str> = values("physical id").collect();
        packages.sort_unstable();
        packages.dedup();
        Self {
            model: values("model name").next().map(str::to_owned),
            logical_cpus: (values("processor").count() as u32).max(1),
            packages: (packages.len() as u32).max(1),
            virtual_machine: values("flags")
                .next()
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }
}

/// Full power of what this host has of its CPUs, with the words that justify it.
struct FullPower {
    watts: f64,
    uncertainty: f64,
    basis: String,
}

impl FullPower {
    fn estimate(cpu: &CpuInfo) -> Self {
        let model = cpu.model.as_deref().unwrap_or("unknown");
        let sockets = cpu.packages;
        match (tdp_table::find(model), cpu.virtual_machine) {
            (None, _) => Self::by_logical_cpus(cpu, format!("CPU model `{model}` has no TDP in our table")),
            // Whole sockets draw whatever of them is switched off or kept from this process.
            (Some(plate), false) => Self {
                watts: plate.watts * f64::from(sockets),
                uncertainty: KNOWN_MODEL_UNCERTAINTY,
                basis: format!("TDP of {model} is {} W a socket, {sockets} socket(s)", plate.watts),
            },
            (Some(Nameplate { threads: None, .. }), true) => Self::by_logical_cpus(
                cpu,
                format!("our table does not tell what part of a {model} this virtual machine has"),
            ),
            (
                Some(Nameplate {
                    threads: Some(threads),
                    watts,
                    ..
                }),
                true,
            ) => {
                let threads = threads * sockets;
                let part = (f64::from(cpu.logical_cpus) / f64::from(threads)).min(1.0);
                Self {
                    watts: watts * f64::from(sockets) * part,
                    uncertainty: KNOWN_MODEL_UNCERTAINTY,
                    basis: format!(
                        "TDP of {model} is {watts} W a socket, {sockets} socket(s); {} of its {threads} logical CPUs \
                         are this virtual machine's",
                        cpu.logical_cpus
                    ),
                }
            }
        }
    }

    fn by_logical_cpus(cpu: &CpuInfo, why: String) -> Self {
        Self {
            watts: DEFAULT_W_PER_LOGICAL_CPU * f64::from(cpu.logical_cpus),
            uncertainty: UNKNOWN_MODEL_UNCERTAINTY,
            basis: format!(
                "{why}: {DEFAULT_W_PER_LOGICAL_CPU} W for each of {} logical CPUs",
                cpu.logical_cpus
            ),
        }
    }
}

/// An estimate of all CPU packages of the host together: nameplate power times measured load.
#[derive(Debug)]
pub struct TdpSource {
    clock: HostCpuClock,
    opened_at: Monotonic,
    busy_at_opening_sec: f64,
    full_w: f64,
    logical_cpus: f64,
    descriptions: [SourceDescription; 1],
}

impl TdpSource {
    /// Opens the estimate for these CPUs. Returns it with a finding that states its assumptions.
    ///
    /// # Errors
    /// Returns an error when the host's CPU time cannot be read.
    pub fn open(cpu: &CpuInfo, clock: HostCpuClock) -> Result<(Self, Finding), CpuTimeError> {
        let busy_at_opening_sec = clock.busy_sec()?;
        let full = FullPower::estimate(cpu);
        let note = format!(
            "estimate: {}; idle power is taken as {:.0} % of full power, between them linear in the CPU time of {}; power \
             above TDP (turbo) is not counted{}",
            full.basis,
            IDLE_FRACTION * 100.0,
            clock.describe(),
            if cpu.virtual_machine {
                "; this is a virtual machine: neighbours' use of the socket is unseen"
            } else {
                ""
            }
        );
        let description = SourceDescription {
            id: SourceId {
                kind: EnergySourceKind::TdpEstimate,
                domain: EnergyDomain::Package,
                place: Place::Host,
            },
            method: EnergyMethod::Estimate,
            refresh_sec: 0.0,
            averaging_sec: 0.0,
            relative_uncertainty: full.uncertainty,
            wraps: None,
            note: Some(note.clone()),
        };
        let source = Self {
            clock,
            opened_at: Monotonic::now(),
            busy_at_opening_sec,
            full_w: full.watts,
            logical_cpus: f64::from(cpu.logical_cpus),
            descriptions: [description],
        };
        let finding = Finding {
            source: EnergySourceKind::TdpEstimate,
            subject: "CPU packages".to_owned(),
            works: true,
            detail: note,
            fix: None,
        };
        Ok((source, finding))
    }

    /// Joules since opening. Linear in time and in busy CPU time, so it needs no utilisation per interval: coarse
    /// ticks lose nothing and the estimate adds up exactly over split windows.
    fn energy_j(&self, elapsed_sec: f64, busy_sec: f64) -> f64 {
        let busy_part_sec = (busy_sec / self.logical_cpus).clamp(0.0, elapsed_sec);
        self.full_w * (IDLE_FRACTION * elapsed_sec + (1.0 - IDLE_FRACTION) * busy_part_sec)
    }
}

impl EnergySource for TdpSource {
    fn sources(&self) -> &[SourceDescription] {
        &self.descriptions
    }

    fn sample(&mut self) -> Vec<Result<Value, PollError>> {
        let busy = self.clock.busy_sec();
        let at = Monotonic::now();
        let value = busy
            .map_err(|error| PollError::Retry(error.to_string()))
            .map(|busy_sec| {
                let energy_j = self.energy_j(at.sec_since(self.opened_at), busy_sec - self.busy_at_opening_sec);
                Value {
                    at,
                    counter_j: Some(energy_j),
                    power_w: None,
                }
            });
        vec![value]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpuinfo(model: &str, logical_cpus: u32, packages: u32) -> CpuInfo {
        with_flags(model, logical_cpus, packages, "fpu sse")
    }

    fn guest(model: &str, logical_cpus: u32) -> CpuInfo {
        with_flags(model, logical_cpus, 1, "fpu sse hypervisor")
    }

    fn with_flags(model: &str, logical_cpus: u32, packages: u32, flags: &str) -> CpuInfo {
        let text: String = (0..logical_cpus)
            .map(|cpu| {
                format!(
                    "processor\t: {cpu}\nmodel name\t: {model}\nphysical id\t: {}\nflags\t\t: {flags}\n\n",
                    cpu % packages
                )
            })
            .collect();
        CpuInfo::parse(&text)
    }

    fn fake_host(stat: &str) -> (tempfile::TempDir, HostCpuClock) {
        let proc_root = tempfile::tempdir().expect("a temporary folder");
        fs::write(proc_root.path().join("stat"), stat).expect("a stat file");
        let clock = HostCpuClock::open(proc_root.path(), Path::new("/nowhere")).expect("a clock");
        (proc_root, clock)
    }

    #[test]
    fn sockets_and_logical_cpus_are_counted() {
        let cpu = cpuinfo("AMD EPYC 7763 64-Core Processor", 256, 2);
        assert_eq!((cpu.logical_cpus, cpu.packages, cpu.virtual_machine), (256, 2, false));
        assert_eq!(FullPower::estimate(&cpu).watts, 560.0);
    }

    #[test]
    fn a_virtual_machine_gets_its_part_of_the_socket() {
        let full = FullPower::estimate(&guest("AMD EPYC 7763 64-Core Processor", 8));
        assert_eq!(full.watts, 280.0 * 8.0 / 128.0);
        let of_unknown_size = FullPower::estimate(&guest("Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz", 4));
        assert_eq!(of_unknown_size.watts, 4.0 * DEFAULT_W_PER_LOGICAL_CPU);
        assert!(of_unknown_size.basis.contains("virtual machine"));
    }

    #[test]
    fn a_socket_with_smt_switched_off_is_still_a_whole_socket() {
        let full = FullPower::estimate(&cpuinfo("AMD EPYC 7763 64-Core Processor", 64, 1));
        assert_eq!(full.watts, 280.0);
    }

    #[test]
    fn an_unknown_model_takes_the_default_with_at_least_half_uncertain() {
        let full = FullPower::estimate(&cpuinfo("AMD EPYC", 2, 1));
        assert_eq!(full.watts, 7.0);
        assert!(full.uncertainty >= 0.5);
        assert!(full.basis.contains("AMD EPYC"));
    }

    #[test]
    fn energy_runs_from_idle_to_full_power_with_utilisation() {
        let (_root, clock) = fake_host("cpu 0 0 0 0 0 0 0 0 0 0\n");
        let (source, _) = TdpSource::open(&cpuinfo("AMD EPYC 7763", 128, 1), clock).expect("a source");
        assert!((source.energy_j(10.0, 0.0) - 560.0).abs() < 1e-9);
        assert!((source.energy_j(10.0, 640.0) - 1680.0).abs() < 1e-9);
        assert!((source.energy_j(10.0, 1280.0) - 2800.0).abs() < 1e-9);
    }

    #[test]
    fn an_estimate_says_that_it_is_one_and_on_what_it_rests() {
        let (_root, clock) = fake_host("cpu 0 0 0 0 0 0 0 0 0 0\n");
        let (mut source, _) = TdpSource::open(&cpuinfo("AMD EPYC", 2, 1), clock).expect("a source");
        let description = source.sources()[0].clone();
        assert_eq!(description.method, EnergyMethod::Estimate);
        assert!(
            description
                .note
                .is_some_and(|note| note.contains("idle power is taken as 20 %"))
        );
        assert!(source.sample().remove(0).is_ok());
    }
}
