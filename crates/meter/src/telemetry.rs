//! Reads and stores what a GPU reports beside its energy: load, clocks, temperature, the reasons for lowered clocks,
//! and its processes.
//!
//! Owns the readings, their schedule on the meter's thread, and a bounded log of them. Leaves the library that reads
//! them to `source`, and what is worth a warning to `environment`.

mod clock_events;
mod held_memory;
mod log;
mod pace;
mod readings;
mod state;

pub use clock_events::ClockEvents;
pub use held_memory::Held;
pub use log::{GpuHistory, SharedLog, TelemetryLog};
pub use pace::{TelemetryPace, thread_cpu_sec};
pub use readings::{Fast, GpuId, GpuSample, Slow, TelemetrySource, Trouble};
pub use state::GpuState;
