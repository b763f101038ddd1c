//! joulemark measures what an LLM really costs to run. `ARCHITECTURE.md` describes the modules and which may use which.

mod allowance;
mod bundle;
pub mod callback;
pub mod cli;
pub mod client;
mod compared;
pub mod config;
pub mod disk;
pub mod engines;
pub mod http;
pub mod lifecycle;
pub mod log_writer;
pub mod memory;
pub mod metrics;
mod number;
pub mod progress;
pub mod scheduler;
pub mod served;
pub mod synthetic;
pub mod tables;
pub mod trace;
