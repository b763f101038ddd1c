//! Takes experiments from the queue as soon as their devices are free, runs each through worker processes of its own,
//! and stores what came of it. Owns leases, launching and the lifecycle; knows nothing of HTTP or of any engine.

mod admission;
mod cancel;
mod cluster;
mod compute;
mod context;
mod deliver;
mod device_locks;
mod digests;
mod drive;
mod eligible;
mod failure;
mod keep;
mod launch;
mod leases;
mod liveness;
mod milestones;
mod model_cache;
mod models;
mod order;
mod persist;
mod phases;
mod rank;
mod ranks;
mod rest;
mod retention;
mod run;
mod running;
mod settle;
mod startable;
mod step;
mod surroundings;
mod tell;

pub use cancel::CancelAnswer;
pub use cluster::{Cluster, Node};
pub use context::{Context, EngineChoice, Limits};
pub use deliver::Deliveries;
pub use device_locks::{LockError, LockFolder, Locks};
pub use digests::DigestCache;
pub use launch::Launcher;
pub use leases::Lease;
pub use model_cache::ModelCache;
pub use models::{LocatedModel, ModelRefusal, is_hub_id, offered_models};
pub use rest::RestWatch;
pub use retention::RetentionPolicy;
pub use step::{Outcome, Scheduler};
