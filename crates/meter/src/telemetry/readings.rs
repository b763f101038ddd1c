//! Defines the readings of a GPU and the trait of a library that makes them. Every value is optional: a board that does
//! not report one still reports the others.

use std::sync::Arc;

use super::ClockEvents;
use joulemark_measurement::clock::Monotonic;

/// A GPU as NVML identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuId {
    /// Index by NVML.
    pub index: u32,
    /// UUID by NVML, the identity.
    pub uuid: String,
}

/// Readings that change within a fraction of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fast {
    /// Percentage of the board's last sensor period (1/6 to 1 s) in which a kernel ran.
    pub utilisation_percent: Option<u32>,
    /// Clock of the streaming multiprocessors in MHz.
    pub sm_clock_mhz: Option<u32>,
    /// Memory clock in MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Reasons for which clocks are lowered.
    pub clock_events: Option<ClockEvents>,
}

/// Readings that change over seconds, or are expensive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slow {
    /// Time of the readings, set by the schedule.
    pub read_at: Option<Monotonic>,
    /// Temperature in °C.
    pub temperature_c: Option<u32>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Power limit in force in W, the lowest of all that apply.
    pub power_limit_w: Option<f64>,
    /// Whether the driver keeps the board initialised.
    pub persistence_mode: Option<bool>,
    /// Whether the board is partitioned into MIG slices.
    pub mig_enabled: Option<bool>,
    /// Ids, in the host's pid namespace, of the processes with a compute context.
    pub compute_pids: Option<Arc<[u32]>>,
    /// Memory in bytes of each process for which the driver reports it.
    pub process_bytes: Option<Arc<[(u32, u64)]>>,
}

/// The readings of one GPU at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSample {
    /// Time of the fast readings.
    pub at: Monotonic,
    /// Fast readings.
    pub fast: Fast,
    /// Slow readings as last made, up to a second earlier.
    pub slow: Slow,
}

/// What prevents readings of a board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Reason why the board is not read; `None` while it is.
    pub lost: Option<String>,
    /// Names of the readings for which permission is missing.
    pub refused: Vec<&'static str>,
}

/// A library that reads telemetry of GPUs. A reading that fails is `None`, and the others are not affected.
pub trait TelemetrySource: Send {
    /// Returns the boards. The list is constant.
    fn gpus(&self) -> &[GpuId];

    /// Checks whether boards that were lost are back. Called before each round.
    fn look_again(&mut self) {}

    /// Reads the fast values of board number `gpu` in [`gpus`](Self::gpus).
    fn fast(&mut self, gpu: usize) -> Fast;

    /// Reads the slow values of board number `gpu`.
    fn slow(&mut self, gpu: usize) -> Slow;

    /// Returns what prevents readings of board number `gpu`.
    fn trouble(&self, gpu: usize) -> &Trouble;
}
