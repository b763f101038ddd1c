//! The worker process of one rank: loads a model once, warms up, measures cycle after cycle as ordered, and reports.
//! Owns the protocol with the server and the interface of engines; opens no database and no socket.

mod arrivals;
mod batch_check;
mod cache_need;
mod command;
pub mod cpu;
mod cut;
pub mod inference;
mod job;
mod measured;
mod pass;
mod placement;
mod process;
pub mod protocol;
mod runner;
mod session;
mod together;

pub use cache_need::{BLOCK_TOKENS, CacheNeed, element_bytes};
pub use command::{RankArguments, WorkerError, describe, run_rank, run_rank_with};
pub use job::sampling;
pub use runner::{Loaded, Outcome, Runner};
pub use session::SessionError;
