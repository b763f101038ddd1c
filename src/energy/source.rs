//! What an energy source is to the meter: a fixed list of things it reads, and one value or error for each at a time.
//! Deliberately does not know windows, threads or experiments. perf events and vendor libraries fit behind it.

pub mod nvml;
mod nvml_telemetry;
pub mod perf_event;
pub mod rapl;
pub mod tdp;
mod tdp_table;

use serde::Serialize;
use utoipa::ToSchema;

use super::telemetry::TelemetrySource;
use crate::clock::Monotonic;
use crate::measurement::{EnergyDomain, EnergyMethod, EnergySourceKind};

/// Where a source sits: the identity that survives a reordering.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Gpu {
        index: u32,
        uuid: String,
    },
    /// `name` is the text of the zone's `name` file, `path` its folder (`intel-rapl:0:1`).
    Zone {
        name: String,
        path: String,
    },
    /// The host's CPUs together, without a zone: an estimate.
    Host,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId {
    pub kind: EnergySourceKind,
    pub domain: EnergyDomain,
    pub place: Place,
}

/// What a reader of a window must know of a source to say how far its figure may be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    pub id: SourceId,
    pub method: EnergyMethod,
    /// The longest age of a value at the moment it is read: hardware counters move in steps of time.
    pub refresh_sec: f64,
    /// Length over which the hardware itself averages a power value before showing it.
    pub averaging_sec: f64,
    /// Half-width of an estimate as a part of the energy; 0 for a measurement.
    pub relative_uncertainty: f64,
    /// Where the counter starts again from 0; none where it does not, or nobody knows where.
    pub wraps: Option<Wraps>,
    pub note: Option<String>,
}

/// What bounds the time between two readings, lest a counter go round unseen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wraps {
    pub range_j: f64,
    /// No power above this is believed: the declared limit doubled, or a bound that no socket reaches.
    pub highest_power_w: f64,
}

impl Wraps {
    /// Below this gap no wrap can be missed, whatever the load.
    pub fn safe_gap_sec(&self) -> f64 {
        self.range_j / self.highest_power_w
    }
}

/// One reading with its own stamp: a sweep over slow devices takes milliseconds, so one stamp for all would be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    pub at: Monotonic,
    /// Cumulative joules, unwrapped.
    pub counter_j: Option<f64>,
    pub power_w: Option<f64>,
}

/// Why there is no value now; the variant is the next move.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// Ask again at the next sweep.
    #[error("{0}")]
    Retry(String),
    /// The device is away. Should it come back, nothing connects what was read before with what is read then.
    #[error("{0}")]
    Gone(String),
}

pub trait EnergySource: Send {
    /// What this source reads; fixed for its life.
    fn sources(&self) -> &[SourceDescription];

    /// One result for each of `sources`, in the same order. One thing's failure never costs another its value.
    fn sample(&mut self) -> Vec<Result<Value, PollError>>;

    /// Only number `index` of them, as cheaply as it goes; what is read beside a counter may be left out.
    fn sample_one(&mut self, index: usize) -> Result<Value, PollError> {
        self.sample().swap_remove(index)
    }

    /// What else its devices tell of themselves, to be asked beside it on the same thread; none for most.
    fn telemetry(&self) -> Option<Box<dyn TelemetrySource>> {
        None
    }
}

/// One source that was looked for: whether it works and, if not, why and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Finding {
    pub source: EnergySourceKind,
    /// What it would measure: a GPU, a zone, or the whole source.
    pub subject: String,
    /// Whether it can be read here.
    pub works: bool,
    /// How it is read when it works, why not when it does not.
    pub detail: String,
    /// The exact next step for the operator; null when nothing is to be done.
    pub fix: Option<String>,
}

/// A GPU as NVML describes it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GpuDevice {
    /// NVML index, in PCI order; CUDA may count differently.
    pub index: u32,
    /// NVML's UUID of the board, `GPU-…`.
    pub uuid: String,
    /// As NVML names it.
    pub name: Option<String>,
    /// Total memory of the board in bytes.
    pub memory_bytes: Option<u64>,
    /// Version of the NVIDIA driver.
    pub driver_version: Option<String>,
    /// How its energy is read; null when it cannot be.
    pub energy_method: Option<EnergyMethod>,
    /// Mean power in watts between the last two samples; null when unknown.
    pub live_power_w: Option<f64>,
}

/// The host's CPUs as one device.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CpuDevice {
    /// CPU model as the kernel names it.
    pub model: Option<String>,
    /// Logical CPUs that the server may use.
    pub logical_cpus: u32,
    /// Which source the packages' energy comes from; null when there is none.
    pub energy_source: Option<EnergySourceKind>,
    /// Why RAPL is not used, with the fix; null when it is.
    pub rapl_problem: Option<String>,
    /// Where the host's busy CPU time comes from, which host energy is split by.
    pub cpu_time_source: Option<String>,
    /// Power of all packages in watts between the last two samples; null when unknown.
    pub live_power_w: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Devices {
    /// The GPUs, in NVML order.
    pub gpus: Vec<GpuDevice>,
    pub cpu: CpuDevice,
    pub findings: Vec<Finding>,
}
