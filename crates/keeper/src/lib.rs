//! The keeper of a managed engine: a process that starts an inference server for one experiment, owns it and all that it
//! starts, and leaves none of it behind. [`sweep()`] ends what a keeper that was killed itself left behind.
//!
//! Deliberately does not know which engine it is, whether it is ready, and what it is asked. For Linux alone.

mod cgroup;
mod engine;
mod error;
mod events;
mod keep;
mod kept;
mod order;
mod process;
mod record;
mod sweep;
mod wakeups;

pub use cgroup::own_cgroup;
pub use error::KeepError;
pub use keep::keep;
pub use order::{KeepEvent, KeepOrder};
pub use sweep::{Swept, sweep};
