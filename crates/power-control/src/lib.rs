//! Sets power limits and locks clocks of GPUs, and restores the previous values even when the process that set them is
//! killed.
//!
//! Owns three things: the way to set a board ([`PowerControl`]: NVML directly, or the daemon `zeusd`), the check of
//! what the board reports afterwards, and a journal that is on disk before anything is set. Knows nothing about
//! experiments.

mod board;
mod controller;
mod journal;
mod restoring;
mod setting;
mod zeusd;

pub use board::{ControlError, Limits, milliwatts, reads};
pub use controller::{Controller, Held, SetBoard, SetError, SetProblem};
pub use journal::{JournalError, left_set};
pub use restoring::{Restored, RestoredBoard};
pub use setting::{PowerControl, Setting};
