//! joulemark measures what an LLM really costs to run. `ARCHITECTURE.md` explains the floors these modules stand on.

pub mod access;
pub mod analysis;
pub mod callback;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod energy;
pub mod experiment;
pub mod flops;
pub mod http;
pub mod inference;
pub mod measurement;
pub mod metrics;
pub mod model_files;
pub mod progress;
pub mod report;
pub mod scheduler;
pub mod statistics;
pub mod store;
pub mod tables;
pub mod trace;
pub mod units;
pub mod worker;
