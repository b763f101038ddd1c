//! The input of the checks: the GPUs and processes, the windows, and the meter's log.

use crate::estimation::timeline::Timeline;
use crate::telemetry::TelemetryLog;
use joulemark_measurement::Window;

/// One GPU, and the processes that are expected on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedGpu {
    /// UUID of the GPU, as NVML reports it.
    pub uuid: String,
    /// The caller's processes on this GPU. Empty when the caller runs none there.
    pub pids: Vec<u32>,
}

/// The GPUs to check for disturbances, and the measured windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// The windows to check, each with the number that messages call its cycle.
    pub cycles: Vec<(u32, Window)>,
    /// The GPUs to check.
    pub gpus: Vec<WatchedGpu>,
    /// Name of the measured work as warnings show it, such as `this command`.
    pub whose: &'static str,
}

/// What the meter has recorded of the host.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// Samples of energy and CPU time.
    pub timeline: &'a Timeline,
    /// Readings of the GPUs.
    pub telemetry: &'a TelemetryLog,
    /// Number of CPUs of the whole host.
    pub logical_cpus: u32,
}
