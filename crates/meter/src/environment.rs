//! Finds what disturbed the measured devices: other processes on the GPUs or the host's CPUs, lowered clocks,
//! temperature, and settings that cost energy. Pure functions of the meter's log and the windows.
//!
//! Owns the thresholds and the texts: one warning for each kind and device, with the worst window and the numbers of the
//! other windows, which the messages call cycles. Does not know how the log is filled or what is computed.

mod cpu_load;
mod gpu;
mod namespace;
mod observation;
mod watched;

pub use namespace::pids_are_the_hosts;
pub use watched::{Surroundings, Watched, WatchedGpu};

use joulemark_measurement::Warning;

/// Returns the warnings on everything that disturbed the watched devices.
pub fn disturbances(surroundings: Surroundings<'_>, watched: &Watched) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for gpu in &watched.gpus {
        // A GPU without telemetry has no energy either, which has a warning elsewhere.
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
