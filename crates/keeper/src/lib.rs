//! The keeper of a managed engine: a process that starts an inference server for one experiment and ends it with every
//! process that it started. [`sweep()`] ends the processes left by a keeper that was itself killed.
//!
//! Does not know which engine it runs, whether that is ready, or what is requested from it. Linux only.

mod cgroup;
mod engine;
mod error;
mod events;
mod keep;
mod order;
mod process;
mod process_tree;
mod record;
mod sweep;
mod wakeups;

pub use cgroup::own_cgroup;
pub use error::KeepError;
pub use keep::keep;
pub use order::{KeepEvent, KeepOrder};
pub use sweep::{Swept, sweep};
