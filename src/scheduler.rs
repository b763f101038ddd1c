//! Takes experiments from the queue as soon as their devices are free, runs each through worker processes of its own,
//! and stores what came of it. Owns leases, launching and the lifecycle; knows nothing of HTTP or of any engine.

mod context;
mod digests;
mod drive;
mod failure;
mod launch;
mod leases;
mod models;
mod rank;
mod ranks;
mod run;
mod step;

pub use context::{Context, EngineChoice, Limits};
pub use digests::DigestCache;
pub use launch::Launcher;
pub use models::{LocatedModel, ModelRefusal, locate};
pub use step::{CancelAnswer, Outcome, Scheduler};
