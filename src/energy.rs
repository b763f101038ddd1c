//! Energy of GPUs, CPU packages and memory: where it is read, when, and whose it was.
//!
//! Owns the sources, the one thread that samples them and the arithmetic from samples to joules. Deliberately does
//! not know experiments, workers or the database: a caller asks with a window, GPU UUIDs and process ids, and gets
//! the words of `measurement` back.

mod account;
mod attribution;
mod baseline;
mod cpu_time;
mod device_series;
mod discovery;
mod environment;
#[cfg(test)]
mod fixtures;
mod host_meter;
mod polling;
mod process_tree;
mod pursuit;
mod series;
mod source;
mod split;
mod telemetry;
mod timeline;
mod window;

pub use account::{account, account_host};
pub use attribution::cpu_shares;
pub use baseline::{BareBaselines, Unrest};
pub use cpu_time::{CpuTimeError, HostCpuClock, process_cpu_sec};
pub use discovery::{EnergyOptions, Opened, open};
pub use environment::{Watched, WatchedGpu};
pub use host_meter::{Attention, HostMeter, MeterHealth, SourceHealth};
pub use polling::{Pace, Polls};
pub use pursuit::{Awaited, Pursuit};
pub use source::nvml::NvmlSource;
pub use source::perf_event::{PerfEventRoots, PerfEventSource};
pub use source::rapl::RaplSource;
pub use source::tdp::TdpSource;
pub use source::{
    CpuDevice, Devices, EnergySource, Finding, GpuDevice, Place, PollError, SourceDescription, SourceId, Value, Wraps,
};
pub use telemetry::GpuState;
pub use timeline::Timeline;
pub use window::readings;
