//! What the service's tests and benches share: simulated hardware, databases, hosts and servers, and the true values to
//! compare results with. Assertions are left to the tests.

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
