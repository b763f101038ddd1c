//! Decides which experiments may start: admission, the order of the queue, the choice of node and devices, and device
//! locks. Leaves starting them to `run`.

pub mod admission;
pub mod cluster;
pub mod device_locks;
pub mod eligible;
mod engine_choice;
pub mod host_queue;
pub mod leases;
pub mod lock_holder;
pub mod order;
pub mod positions;
mod prompt_source;
mod replay;
pub mod snapshot;
mod snapshot_cache;
pub mod standing;
pub mod startable;
mod submitted_file;
pub mod wait;
