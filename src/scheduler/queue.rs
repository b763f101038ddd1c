//! Decides what may start: admission, the order of what waits, which node and which devices it gets, and their locks.
//! Starts nothing.

pub mod admission;
pub mod cluster;
pub mod device_locks;
pub mod eligible;
mod engine_choice;
pub mod host_queue;
pub mod leases;
pub mod lock_holder;
pub mod look;
mod looking;
pub mod order;
pub mod places;
mod prompt_source;
mod replay;
pub mod standing;
pub mod startable;
mod submitted_file;
pub mod wait;
