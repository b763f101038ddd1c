//! What `joulemark meter` says of a command, as JSON: the sums over the host's distinct sources. Pure.

use serde::Serialize;

use super::idle::IdleEnergy;
use joulemark_measurement::{EnergyMetrics, SourceReading, Warning, Window};
use joulemark_meter::Finding;

/// Energy of the whole host over one command; null where it is not known, never 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// From before the command's start to after its end, CLOCK_MONOTONIC.
    pub window: Window,
    pub duration_sec: f64,
    pub gpu_energy_j: Option<f64>,
    /// All CPU packages.
    pub cpu_energy_j: Option<f64>,
    pub dram_energy_j: Option<f64>,
    /// The command's own part of the packages' and the memory's energy; null where its CPU time or theirs is not known.
    pub command: Share,
    /// What the devices would have drawn at rest; null unless `--idle-baseline-sec` was given.
    pub idle: Option<IdleEnergy>,
    /// GPUs, packages and memory that are known; null when nothing is, or when a GPU asked for or a
    /// package is not.
    pub total_energy_j: Option<f64>,
    /// The command's, or 128 and the signal's number.
    pub exit_code: u8,
    /// What else used the host meanwhile.
    pub warnings: Vec<Warning>,
    pub sources: Vec<SourceReading>,
    /// What was looked for in vain, why, and the fix, as `joulemark doctor` says it.
    pub findings: Vec<Finding>,
}

/// The part of the host's energy that goes by the CPU time of the command and of all that it started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Of the host's busy CPU time, 0 to 1.
    pub cpu_time_share: Option<f64>,
    pub cpu_energy_j: Option<f64>,
    pub dram_energy_j: Option<f64>,
}

impl Reading {
    /// Creates the reading of a command, without findings, warnings and energy at rest.
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
    fn the_total_is_gpus_packages_and_memory_that_are_known() {
        assert_eq!(reading(None, Some(20.0), Some(3.0), &[]).total_energy_j, Some(23.0));
        assert_eq!(
            reading(Some(100.0), Some(20.0), None, &["GPU-a".to_owned()]).total_energy_j,
            Some(120.0)
        );
        assert_eq!(reading(None, None, None, &[]).total_energy_j, None);
    }

    #[test]
    fn a_gpu_asked_for_without_energy_makes_the_total_unknown() {
        let without = reading(None, Some(20.0), Some(3.0), &["GPU-a".to_owned()]);
        assert_eq!((without.total_energy_j, without.cpu_energy_j), (None, Some(20.0)));
    }
}
