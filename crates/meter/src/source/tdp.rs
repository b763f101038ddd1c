//! Estimates the energy of all CPU packages as nameplate power times measured load, where no package counter can be
//! read.
//!
//! Every figure is marked as an estimate. Owns the model and its assumptions. Memory is not estimated.

mod cpu_info;
mod full_power;

pub use cpu_info::CpuInfo;
use full_power::FullPower;

use super::{EnergySource, Finding, Place, PollError, SourceDescription, SourceId, Value};
use crate::cpu_time::{CpuTimeError, HostCpuClock};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Power of an idle CPU as a part of its full power. Cloud Carbon Footprint's coefficients, fitted to SPECpower_ssj
/// results, are 0.16 for Skylake and Cascade Lake and 0.24 for EPYC Milan.
const IDLE_FRACTION: f64 = 0.2;

/// The estimate of all CPU packages of the host together: nameplate power times measured load.
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
    /// Opens the estimate for these CPUs. Returns the source with a finding that states its assumptions.
    ///
    /// # Errors
    /// Returns an error when the host's CPU time cannot be read.
    pub fn open(cpu: &CpuInfo, clock: HostCpuClock) -> Result<(Self, Finding), CpuTimeError> {
        let busy_at_opening_sec = clock.busy_sec()?;
        let cpus = cpu.host_cpus.max(clock.cpus().unwrap_or(0));
        let full = FullPower::estimate(cpu, cpus);
        let note = format!(
            "estimate: {}; idle power is taken as {:.0} % of full power, and power as linear in the CPU time of {}; power \
             above TDP (turbo, up to {:.2} times) is in the uncertainty, not in the figure{}",
            full.basis,
            IDLE_FRACTION * 100.0,
            clock.describe(),
            full.turbo,
            if cpu.virtual_machine {
                "; this is a virtual machine: the use of the socket by other machines is not seen"
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
            logical_cpus: f64::from(cpus),
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

    /// Returns the energy in J since opening. It is linear in time and in busy CPU time and needs no utilisation per
    /// interval, so that coarse ticks lose nothing and the energies of split windows add up exactly.
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
    use std::fs;
    use std::path::Path;

    use super::full_power::DEFAULT_W_PER_LOGICAL_CPU;
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
        CpuInfo::parse(&text, Path::new("/nowhere/sys"))
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
        assert_eq!(FullPower::estimate(&cpu, 256).watts, 560.0);
    }

    #[test]
    fn a_virtual_machine_gets_its_part_of_the_socket() {
        let full = FullPower::estimate(&guest("AMD EPYC 7763 64-Core Processor", 8), 8);
        assert_eq!(full.watts, 280.0 * 8.0 / 128.0);
        let of_unknown_size = FullPower::estimate(&guest("Intel(R) Core(TM) i7-9700K CPU @ 3.60GHz", 4), 4);
        assert_eq!(of_unknown_size.watts, 4.0 * DEFAULT_W_PER_LOGICAL_CPU);
        assert!(of_unknown_size.basis.contains("virtual machine"));
    }

    #[test]
    fn a_socket_with_smt_switched_off_is_still_a_whole_socket() {
        let full = FullPower::estimate(&cpuinfo("AMD EPYC 7763 64-Core Processor", 64, 1), 64);
        assert_eq!(full.watts, 280.0);
    }

    #[test]
    fn an_unknown_model_takes_the_default_with_at_least_half_uncertain() {
        let full = FullPower::estimate(&cpuinfo("AMD EPYC", 2, 1), 2);
        assert_eq!(full.watts, 7.0);
        assert!(full.uncertainty >= 0.5);
        assert!(full.basis.contains("AMD EPYC"));
    }

    #[test]
    fn the_cpus_are_those_whose_time_is_read_though_cpuinfo_shows_one() {
        let lines: String = (0..24).map(|cpu| format!("cpu{cpu} 0 0 0 0 0 0 0 0 0 0\n")).collect();
        let (_root, clock) = fake_host(&format!("cpu 0 0 0 0 0 0 0 0 0 0\n{lines}"));
        let shown = cpuinfo("Intel(R) Xeon(R) Silver 4214 CPU @ 2.20GHz", 1, 1);
        let (source, _) = TdpSource::open(&shown, clock).expect("a source");
        // Power is 85 W × (0.2 + 0.8 × 4 of 24 CPUs).
        assert!((source.energy_j(1.0, 4.0) - 28.33).abs() < 0.01);
    }

    #[test]
    fn sockets_that_only_their_cpus_show_are_counted() {
        let shown = cpuinfo("AMD EPYC 7763 64-Core Processor", 2, 1);
        assert_eq!(FullPower::estimate(&shown, 256).watts, 560.0);
    }

    #[test]
    fn a_guest_whose_every_cpu_is_a_socket_gets_its_part_and_no_more() {
        let cpu = cpuinfo("AMD EPYC 7763 64-Core Processor", 8, 8);
        assert!(cpu.virtual_machine);
        assert_eq!(FullPower::estimate(&cpu, 8).watts, 280.0 * 8.0 / 128.0);
    }

    #[test]
    fn the_interval_reaches_turbo_power() {
        for (model, turbo_w) in [
            ("12th Gen Intel(R) Core(TM) i9-12900K", 241.0),
            ("12th Gen Intel(R) Core(TM) i7-12700T", 99.0),
            ("AMD Ryzen 9 7950X 16-Core Processor", 230.0),
            ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 188.0),
        ] {
            let full = FullPower::estimate(&cpuinfo(model, 24, 1), 24);
            assert!(
                full.watts * (1.0 + full.uncertainty) >= turbo_w,
                "{model}: {}",
                full.uncertainty
            );
        }
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
    fn an_estimate_says_that_it_is_one_and_states_its_assumptions() {
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
