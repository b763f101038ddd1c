//! The JSON that `joulemark meter` prints: sums over the distinct energy sources of the host. Pure.

use serde::Serialize;

use super::idle::IdleEnergy;
use joulemark_measurement::{EnergyMetrics, SourceReading, Warning, Window};
use joulemark_meter::Finding;

/// Energy of the whole host during one command. What is unknown is `None`, never 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Window from before the start of the command to after its end, CLOCK_MONOTONIC.
    pub window: Window,
    pub duration_sec: f64,
    pub gpu_energy_j: Option<f64>,
    /// Energy of all CPU packages.
    pub cpu_energy_j: Option<f64>,
    pub dram_energy_j: Option<f64>,
    /// The command's share of the energy of packages and memory.
    pub command: Share,
    /// Energy that the idle devices would have used; `None` without `--idle-baseline-sec`.
    pub idle: Option<IdleEnergy>,
    /// Sum over GPUs, packages and memory, without the memory if it is unknown. `None` when a requested GPU or a
    /// package is unknown.
    pub total_energy_j: Option<f64>,
    /// Exit code of the command, or 128 plus the number of the signal that ended it.
    pub exit_code: u8,
    /// Other uses of the host during the command.
    pub warnings: Vec<Warning>,
    pub sources: Vec<SourceReading>,
    /// Energy sources that do not work, each with the reason and the fix, as `joulemark doctor` prints them.
    pub findings: Vec<Finding>,
}

/// Share of the host's energy by the CPU time of the command and its descendants. `None` where the CPU time or the
/// energy is unknown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Fraction of the host's busy CPU time, 0 to 1.
    pub cpu_time_share: Option<f64>,
    pub cpu_energy_j: Option<f64>,
    pub dram_energy_j: Option<f64>,
}

impl Reading {
    /// Creates the reading of a command without findings, warnings and idle energy.
    pub fn new(window: Window, metrics: EnergyMetrics, gpus: &[String], exit_code: u8) -> Self {
        let command = Share {
            cpu_time_share: metrics.cpu_time_share,
            cpu_energy_j: metrics.cpu_energy_j,
            dram_energy_j: metrics.dram_energy_j,
        };
        let whole = EnergyMetrics {
            cpu_energy_j: metrics.host_cpu_energy_j,
            dram_energy_j: metrics.host_dram_energy_j,
            ..metrics
        };
        Self {
            window,
            duration_sec: window.duration_sec(),
            gpu_energy_j: whole.gpu_energy_j,
            cpu_energy_j: whole.cpu_energy_j,
            dram_energy_j: whole.dram_energy_j,
            total_energy_j: whole.sum_of_parts_j(!gpus.is_empty()),
            command,
            idle: None,
            exit_code,
            warnings: Vec::new(),
            sources: whole.sources,
            findings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        start_monotonic_sec: 1.0,
        end_monotonic_sec: 3.0,
    };

    fn reading(gpu: Option<f64>, cpu: Option<f64>, dram: Option<f64>, gpus: &[String]) -> Reading {
        let metrics = EnergyMetrics {
            gpu_energy_j: gpu,
            host_cpu_energy_j: cpu,
            host_dram_energy_j: dram,
            ..EnergyMetrics::default()
        };
        Reading::new(WINDOW, metrics, gpus, 0)
    }

    #[test]
    fn the_total_sums_gpus_packages_and_memory_and_omits_an_unknown_memory() {
        assert_eq!(reading(None, Some(20.0), Some(3.0), &[]).total_energy_j, Some(23.0));
        assert_eq!(
            reading(Some(100.0), Some(20.0), None, &["GPU-a".to_owned()]).total_energy_j,
            Some(120.0)
        );
        assert_eq!(reading(None, None, None, &[]).total_energy_j, None);
    }

    #[test]
    fn a_requested_gpu_without_energy_makes_the_total_unknown() {
        let without = reading(None, Some(20.0), Some(3.0), &["GPU-a".to_owned()]);
        assert_eq!((without.total_energy_j, without.cpu_energy_j), (None, Some(20.0)));
    }
}
