//! What a GPU tells beside its energy: load, clocks, temperature, why its clocks are lowered, who computes on it.
//!
//! Owns the words, their pace on the meter's thread and a bounded log of them. Deliberately does not know which library
//! answers, whose window is looked at or what is worth a warning.

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
pub use readings::{Brisk, GpuId, GpuSample, Slow, TelemetrySource, Trouble};
pub use state::GpuState;
