//! The input of the checks: the GPUs and processes, the cycles, and the meter's log.

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

/// The GPUs to check for disturbances, and the times of the measured cycles.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Number of each measured cycle, and its window from the first start to the last end.
    pub cycles: Vec<(u32, Window)>,
    /// The GPUs to check.
    pub gpus: Vec<WatchedGpu>,
    /// Name of the measured work as warnings show it, such as `this server's experiments`.
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
