//! What the service's tests and benches share: hardware, databases, hosts and servers of their own, and the truth that they
//! are held against. Owns no assertion of a test's.

pub mod edits;
pub mod eight_boards;
pub mod fake_engine;
pub mod fake_powercap;
pub mod host;
pub mod kills;
pub mod makespan;
pub mod mock_nvml;
pub mod models;
pub mod openai_emitter;
pub mod postgres_cluster;
mod programs;
pub mod server;
pub mod simulation;
pub mod tiny_llama;
pub mod verdict;

pub use ::mock_nvml::law::Law;
pub use ::mock_nvml::shape::{self, Shape};
pub use programs::{engine, installed, program, scratch_folder};
