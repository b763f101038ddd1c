//! Sets power limits and locks clocks of GPUs, and puts back what they had before, whatever happens to whoever set them.
//!
//! Owns three things: who may set ([`PowerControl`]: NVML directly, or the daemon `zeusd`), the reading back of what a board
//! made of it, and a journal that is on disk before anything is set. Deliberately does not know experiments.

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
