//! Takes experiments from the queue as soon as their devices are free, runs each through worker processes of its own,
//! and stores what came of it. Owns leases, launching and the lifecycle; knows nothing of HTTP or of any engine.

mod compute;
mod context;
mod digests;
mod drive;
mod failure;
mod launch;
mod leases;
mod models;
mod persist;
mod phases;
mod rank;
mod ranks;
mod rest;
mod run;
mod step;
mod surroundings;

pub use context::{Context, EngineChoice, Limits};
pub use digests::DigestCache;
pub use launch::Launcher;
pub use leases::Lease;
pub use models::{LocatedModel, ModelRefusal, is_hub_id, locate};
pub use rest::RestWatch;
pub use step::{CancelAnswer, Outcome, Scheduler};
