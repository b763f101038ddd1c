//! Energy metering for Linux hosts: GPUs, CPU packages and memory over any window of time, with an uncertainty for
//! every figure.
//!
//! # Overview
//!
//! - [`open`] finds the energy sources of the host: GPUs through NVML, CPU packages and memory through RAPL (perf_event
//!   or powercap), else an estimate of the packages from nameplate power and CPU load. Its findings state which sources
//!   do not work, why, and the fix.
//! - [`HostMeter::start`] samples the sources in the background.
//! - [`HostMeter::measure`] measures a closure.
//! - [`HostMeter::edge`] with [`HostMeter::read_host`] or [`HostMeter::read`] measures any window, also one of another
//!   process. Windows are given in the host's monotonic clock, [`Monotonic`], and may overlap.
//! - [`HostMeter::track`] follows a process, so that its share of the host's energy can be read.
//!
//! # Example
//!
//! ```
//! use joulemark_meter::{EnergyMethod, EnergyOptions, HostMeter, open};
//!
//! let meter = HostMeter::start(open(&EnergyOptions::default()))?;
//! let metered = meter.measure(|| (1..5_000_000u64).map(u64::count_ones).sum::<u32>());
//! for source in &metered.energy.sources {
//!     let estimate = if source.method == EnergyMethod::Estimate { " (estimate)" } else { "" };
//!     match (source.energy_j, source.uncertainty_j) {
//!         (Some(energy_j), Some(half_width_j)) => {
//!             println!("{:?}: {energy_j:.3} J ± {half_width_j:.3} J{estimate}", source.domain);
//!         }
//!         _ => println!("{:?}: unknown, {}", source.domain, source.note.as_deref().unwrap_or("no reason given")),
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Figures and units
//!
//! Energies are in joules (`_j`), powers in watts (`_w`), times in seconds (`_sec`) or milliseconds (`_ms`). An unknown
//! figure is `None` with the reason, never 0.
//!
//! Each [`SourceReading`] states the energy of one source (`energy_j`), how it was read ([`EnergyMethod`]), the
//! half-width of its 95 % interval (`uncertainty_j`) with the parts of it (`uncertainty_basis`), and how far to trust
//! it ([`Confidence`]). The sums in [`EnergyMetrics`] run over distinct sources, so that nothing is counted twice.
//!
//! # Errors
//!
//! - [`HostMeter::start`] returns an [`std::io::Error`] when no thread can be started. [`open`] never fails.
//! - [`HostMeter::track`] and the clocks of CPU time return a [`CpuTimeError`].
//! - [`HostMeter::idle_powers`] returns [`Unrest`] when the host was not idle.
//! - An [`EnergySource`] answers a failed reading with a [`PollError`]. It appears in the `note` of an energy that is
//!   `None`.
//!
//! # Use without a meter
//!
//! The arithmetic is pure: [`readings`], [`account()`] and [`account_host`] are functions of a [`Timeline`] and a
//! [`Window`]. Other sensors are read by implementing [`EnergySource`].
//!
//! # Scope
//!
//! This crate owns the sources, the threads that sample them, and the arithmetic from samples to joules. It does not
//! know experiments, workers or databases: callers pass a window, GPU UUIDs and process ids.

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
pub use baseline::bare_baselines::BareBaselines;
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
// The types of measurement in this API, re-exported so that a user needs one dependency only.
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
