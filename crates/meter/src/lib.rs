#![doc = include_str!("../README.md")]
//!
//! # Where to begin
//!
//! - [`open`] and its [`EnergyOptions`]; [`HostMeter`]; the results [`EnergyMetrics`] and [`SourceReading`].
//! - [`Devices`], [`MeterHealth`] and [`GpuState`] for the present state of the host.
//! - [`readings`], [`account()`] and [`account_host`]: the arithmetic alone, as pure functions of a [`Timeline`] and a
//!   [`Window`].
//! - [`EnergySource`] to add another sensor.
//!
//! This crate owns the sources, the threads that sample them, and the arithmetic from samples to joules. Callers pass a
//! window, GPU UUIDs and process ids; the crate does not know what they measure.

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
pub use baseline::NotIdle;
pub use baseline::idle_baselines::IdleBaselines;
pub use cpu_time::{CgroupCpuClock, CpuTimeError, HostCpuClock, process_cpu_sec};
pub use discovery::{EnergyOptions, FoundSources, open};
pub use environment::{Watched, WatchedGpu, pids_are_the_hosts};
pub use estimation::edge_reads::{Awaited, EdgeReads};
pub use estimation::polling::{Pace, Polls};
pub use estimation::timeline::Timeline;
pub use estimation::window::readings;
pub use host_meter::health::{MeterHealth, SourceHealth};
pub use host_meter::measure::Measured;
pub use host_meter::{FastPolling, HostMeter};
pub use priority::raise_priority;
// Everything that this API names is re-exported, so that a user needs one dependency only.
pub use joulemark_measurement::clock::Monotonic;
pub use joulemark_measurement::{
    Baseline, BaselineKind, ComputeCapability, Confidence, DeviceSeries, EnergyDomain, EnergyMethod, EnergyMetrics,
    EnergyScope, EnergySourceKind, GpuMemory, GpuMemoryMethod, IdlePower, NotACapability, Phase, PhaseEnergy,
    SeriesPoint, SourceReading, Warning, WarningCode, Window,
};
pub use nvml_wrapper;
pub use process_stat::ProcessStat;
pub use source::current_call::CurrentCall;
pub use source::nvml::{NvmlSource, open_nvml};
pub use source::perf_event::{PerfEventRoots, PerfEventSource};
pub use source::rapl::RaplSource;
pub use source::tdp::{CpuInfo, TdpSource};
pub use source::{
    BoardOfSlice, CpuDevice, Devices, EnergySource, Finding, GpuDevice, LockableClocks, Place, PollError, PowerLimits,
    SourceDescription, SourceId, Value, Wraps, is_unidentified_gpu,
};
pub use telemetry::{
    ClockEvents, Fast as FastReadings, GpuId, GpuState, Slow as SlowReadings, TelemetrySource, Trouble,
};

#[cfg(test)]
mod tests {
    use super::{FastPolling, FoundSources, HostMeter};

    /// Compiles only for a type that may be sent to another thread.
    fn assert_send<T: Send>() {}
    /// Compiles only for a type that threads may share.
    fn assert_sync<T: Sync>() {}

    #[test]
    fn the_meter_is_shared_by_threads_and_what_was_found_can_be_sent_to_one() {
        assert_send::<HostMeter>();
        assert_sync::<HostMeter>();
        assert_send::<FastPolling>();
        assert_sync::<FastPolling>();
        assert_send::<FoundSources>();
    }
}
