//! Takes experiments from the queue as soon as their devices are free, runs each through worker processes of its own,
//! and stores what came of it. Owns leases, launching and the lifecycle; knows nothing of HTTP or of any engine.

mod compute;
mod context;
mod digests;
mod drive;
mod failure;
mod launch;
mod leases;
mod model_cache;
mod models;
mod phases;
mod rank;
mod ranks;
mod rest;
mod retention;
mod run;
mod settle;
mod step;
mod surroundings;

pub use context::{Context, EngineChoice, Limits};
pub use digests::DigestCache;
pub use launch::Launcher;
pub use leases::Lease;
pub use model_cache::ModelCache;
pub use models::{LocatedModel, ModelRefusal};
pub use rest::RestWatch;
pub use retention::RetentionPolicy;
pub use step::{CancelAnswer, Outcome, Scheduler};
