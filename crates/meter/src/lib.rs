//! Meters the energy of a Linux host's GPUs, CPU packages and memory over any window of time, with the uncertainty of
//! every figure.
//!
//! [`open`] looks for sources: GPUs through NVML, CPU packages and memory through RAPL (perf_event or powercap), else an
//! estimate of the packages from nameplate power and load. [`HostMeter::start`] samples them on one thread.
//! [`HostMeter::measure`] measures a closure; [`HostMeter::edge`] with [`HostMeter::read_host`] or [`HostMeter::read`]
//! measures any window, also that of other processes: its clock, [`Monotonic`], is one for the whole host.
//!
//! ```
//! use joulemark_meter::{EnergyMethod, EnergyOptions, HostMeter, open};
//!
//! let meter = HostMeter::start(open(&EnergyOptions::default()))?;
//! let metered = meter.measure(|| (1..5_000_000u64).map(|n| n.count_ones()).sum::<u32>());
//! for source in &metered.energy.sources {
//!     let estimate = if source.method == EnergyMethod::Estimate { " (estimate)" } else { "" };
//!     match (source.energy_j, source.uncertainty_j) {
//!         (Some(energy_j), Some(off_j)) => println!("{:?}: {energy_j:.3} J ± {off_j:.3} J{estimate}", source.domain),
//!         _ => println!("{:?}: unknown, {}", source.domain, source.note.as_deref().unwrap_or("no reason given")),
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A figure that is not known is `None` with its reason, never 0. Each [`SourceReading`] says how it was read
//! ([`EnergyMethod`]), how far it may be trusted ([`Confidence`]) and how far it may be off (`uncertainty_j`, by
//! `uncertainty_basis`). Sums run over distinct sources, so nothing is counted twice.
//!
//! The arithmetic is pure and can be used without a host: [`readings`] and [`account()`] are functions of a [`Timeline`]
//! and a [`Window`]. A source of one's own is an [`EnergySource`].
//!
//! Owns the sources, the one thread that samples them and the arithmetic from samples to joules. Deliberately does not
//! know experiments, workers or the database: a caller asks with a window, GPU UUIDs and process ids.

mod account;
mod attribution;
mod baseline;
mod cpu_time;
mod device_series;
mod discovery;
mod environment;
mod estimation;
#[cfg(test)]
mod fixtures;
mod host_meter;
mod priority;
mod process_stat;
mod process_tree;
mod source;
mod split;
mod telemetry;

pub use account::{account, account_host};
pub use attribution::cpu_shares;
pub use baseline::Unrest;
pub use baseline::kept::BareBaselines;
pub use cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock, process_cpu_sec};
pub use discovery::{EnergyOptions, Opened, open};
pub use environment::{Watched, WatchedGpu, pids_are_the_hosts};
pub use estimation::edge_reads::{Awaited, EdgeReads};
pub use estimation::polling::{Pace, Polls};
pub use estimation::timeline::Timeline;
pub use estimation::window::readings;
pub use host_meter::health::{MeterHealth, SourceHealth};
pub use host_meter::measure::Metered;
pub use host_meter::{Attention, HostMeter};
pub use priority::raise_priority;
// The measurement words that this API takes and returns, so that a user needs one dependency only.
pub use joulemark_measurement::clock::Monotonic;
pub use joulemark_measurement::{
    Baseline, BaselineKind, Confidence, DeviceSeries, EnergyDomain, EnergyMethod, EnergyMetrics, EnergyScope,
    EnergySourceKind, IdlePower, Phase, PhaseEnergy, SeriesPoint, SourceReading, Warning, WarningCode, Window,
};
pub use process_stat::ProcessStat;
pub use source::nvml::{NvmlSource, open_nvml};
pub use source::perf_event::{PerfEventRoots, PerfEventSource};
pub use source::rapl::RaplSource;
pub use source::tdp::{CpuInfo, TdpSource};
pub use source::{
    BoardOfSlice, CpuDevice, Devices, EnergySource, Finding, GpuDevice, LockableClocks, Place, PollError, PowerLimits,
    SourceDescription, SourceId, Value, Wraps, is_unidentified_gpu,
};
pub use telemetry::GpuState;

/// The README, whose example is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
