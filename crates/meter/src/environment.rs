//! What disturbed an experiment's devices while it was measured: others on its GPUs or the host's CPUs, lowered clocks,
//! heat, settings that cost energy. Pure functions of what the meter logged and of the cycles' windows.
//!
//! Owns the thresholds and the wording: one warning a kind and device, with the worst cycle and the names of the others.
//! Deliberately does not know how the log is filled, or what the experiment computes.

mod cpu_load;
mod gpu;
mod namespace;
mod observation;
mod watched;

pub use namespace::pids_are_the_hosts;
pub use watched::{Surroundings, Watched, WatchedGpu};

use joulemark_measurement::Warning;

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
    warnings.extend(cpu_load::check(surroundings, watched));
    warnings
}

#[cfg(test)]
mod tests;
