//! What disturbed an experiment's devices while it was measured: others on its GPUs or the host's CPUs, lowered clocks,
//! heat, settings that cost energy. Pure functions of what the meter logged and of the cycles' windows.
//!
//! Owns the thresholds and the wording: one warning a kind and device, with the worst cycle and the names of the others.
//! Deliberately does not know how the log is filled, or what the experiment computes.

mod cpu_load;
mod gpu;
mod namespace;

pub use namespace::pids_are_the_hosts;

use super::telemetry::TelemetryLog;
use super::timeline::Timeline;
use crate::experiment::{Warning, WarningCode};
use crate::measurement::Window;

/// One GPU of the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedGpu {
    pub uuid: String,
    /// Processes that the experiment itself computes on it with; none where it only meters the GPU.
    pub pids: Vec<u32>,
}

/// Whose surroundings are looked at, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Each measured cycle's number with the hull of its ranks' windows.
    pub cycles: Vec<(u32, Window)>,
    pub gpus: Vec<WatchedGpu>,
}

/// What the meter knows of the surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub timeline: &'a Timeline,
    pub telemetry: &'a TelemetryLog,
    /// CPUs of the whole host.
    pub logical_cpus: u32,
}

/// Something notable in one cycle.
#[derive(Clone, Debug, PartialEq)]
struct Observation {
    cycle: u32,
    /// How bad, in the check's own unit: the worst cycle's words are the ones shown.
    weight: f64,
    words: String,
}

/// All that a careful reader should know of the experiment's surroundings.
pub fn disturbances(surroundings: Surroundings<'_>, watched: &Watched) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for gpu in &watched.gpus {
        // A GPU that NVML does not tell of: its energy is null, and that is warned of elsewhere.
        if let Some(history) = surroundings.telemetry.gpu(&gpu.uuid) {
            let pids_are_ours = surroundings.telemetry.pids_are_ours;
            warnings.extend(gpu::check(history, gpu, pids_are_ours, &watched.cycles));
        }
    }
    warnings.extend(cpu_load::check(surroundings, &watched.cycles));
    warnings
}

/// One warning of several cycles' observations; none of none.
fn worst(code: WarningCode, subject: &str, observations: &[Observation]) -> Option<Warning> {
    let worst = observations
        .iter()
        .max_by(|a, b| a.weight.total_cmp(&b.weight).then(b.cycle.cmp(&a.cycle)))?;
    let others: Vec<u32> = observations
        .iter()
        .map(|seen| seen.cycle)
        .filter(|cycle| *cycle != worst.cycle)
        .collect();
    let also = match others.as_slice() {
        [] => String::new(),
        [one] => format!("; less so in cycle {one}"),
        many => format!("; less so in cycles {}", listed(many)),
    };
    Some(Warning {
        code,
        message: format!("{subject}: {} in cycle {}{also}", worst.words, worst.cycle),
    })
}

/// `0 to 3, 5`: neighbours are drawn together.
fn listed(cycles: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &cycle in cycles {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == cycle => *last = cycle,
            _ => runs.push((cycle, cycle)),
        }
    }
    let shown = runs.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
