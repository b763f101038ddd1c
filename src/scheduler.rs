//! Runs the queued experiments of this node: claims one as soon as its devices are free, launches its worker processes
//! or its server, and stores the outcome. Owns leases, launching and the lifecycle of a run, including
//! which kinds of engine there are and how each is started. Leaves the HTTP API to `http`, finding engine programs to
//! `engines`, and the protocol of workers to `joulemark_worker`.

mod context;
mod durations;
mod folders;
mod model_hashes;
mod models;
mod node;
mod past_runs;
mod prompt_files;
mod queue;
mod restored;
mod run;
mod step;

pub use context::{Context, Limits, Resources};
pub use folders::by_name;
pub use models::{ModelSources, Models};
pub use node::cancel::CancelAnswer;
pub use node::deliver::Deliveries;
pub use node::idle_baseline::IdleWatch;
pub use node::power::prepare_power;
pub use node::retention::RetentionPolicy;
pub use prompt_files::PromptFolder;
pub use queue::cluster::{Cluster, Node};
pub use queue::device_locks::{LockError, LockFolder, Locks};
pub use queue::leases::Lease;
pub use queue::standing::Standing;
pub use queue::wait::{DeviceHolder, QueueWait, WaitReason};
pub use run::crash_note;
pub use run::digests::{DigestCache, Hashes};
pub use run::kept_engine::end_left;
pub use run::launch::Launcher;
pub use step::{Outcome, Scheduler};
