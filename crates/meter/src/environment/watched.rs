//! What is looked at: whose GPUs and processes, over which cycles, in what the meter logged.

use crate::estimation::timeline::Timeline;
use crate::telemetry::TelemetryLog;
use joulemark_measurement::Window;

/// One GPU, and the processes that are expected on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedGpu {
    /// NVML's UUID of the board.
    pub uuid: String,
    /// The caller's own processes on this GPU. Empty where it only meters the GPU.
    pub pids: Vec<u32>,
}

/// The GPUs whose surroundings are looked at, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Each measured cycle's number, and its time from the first start to the last end.
    pub cycles: Vec<(u32, Window)>,
    /// The GPUs to look at.
    pub gpus: Vec<WatchedGpu>,
    /// What is measured, as a warning names it: `this server's experiments`.
    pub whose: &'static str,
}

/// What the meter knows of the surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub timeline: &'a Timeline,
    pub telemetry: &'a TelemetryLog,
    /// CPUs of the whole host.
    pub logical_cpus: u32,
}
