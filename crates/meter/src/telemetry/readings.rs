//! The readings of a GPU and the trait of whatever answers with them. Every value is optional by itself: a board that
//! does not tell one still tells the others.

use std::sync::Arc;

use super::ClockEvents;
use joulemark_measurement::clock::Monotonic;

/// A GPU as NVML counts it; the UUID is the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuId {
    pub index: u32,
    pub uuid: String,
}

/// What changes within a fraction of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brisk {
    /// Share of the board's last sensor period (1/6 to 1 s) in which a kernel ran.
    pub utilisation_percent: Option<u32>,
    pub sm_clock_mhz: Option<u32>,
    pub memory_clock_mhz: Option<u32>,
    pub clock_events: Option<ClockEvents>,
}

/// What changes over seconds, or is dear to ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slow {
    /// When it was read; the pace says it.
    pub read_at: Option<Monotonic>,
    pub temperature_c: Option<u32>,
    pub memory_used_bytes: Option<u64>,
    /// The limit in force, the lowest of all that apply.
    pub power_limit_w: Option<f64>,
    pub persistence_mode: Option<bool>,
    pub mig_enabled: Option<bool>,
    /// Processes with a compute context, as the driver numbers them: in the host's pid namespace.
    pub compute_pids: Option<Arc<[u32]>>,
    /// Memory of each of them that the driver tells it of, in bytes.
    pub process_bytes: Option<Arc<[(u32, u64)]>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GpuSample {
    pub at: Monotonic,
    pub brisk: Brisk,
    /// As last read, up to a second before.
    pub slow: Slow,
}

/// What stands in the way of asking a board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Why the whole board is not asked; null while it is.
    pub lost: Option<String>,
    /// Readings this user may not have.
    pub refused: Vec<&'static str>,
}

/// A library that can be asked about GPUs. A failing answer is a null, never an error for the others.
pub trait TelemetrySource: Send {
    /// The boards; fixed for its life.
    fn gpus(&self) -> &[GpuId];

    /// Whether boards that were lost are back; called before each round.
    fn look_again(&mut self) {}

    /// `gpu` counts in `gpus`.
    fn brisk(&mut self, gpu: usize) -> Brisk;

    fn slow(&mut self, gpu: usize) -> Slow;

    fn trouble(&self, gpu: usize) -> &Trouble;
}
