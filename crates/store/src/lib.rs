//! Experiments and their results in a database. The experiments table is the queue: claiming, moving on and storing a
//! result are transactions beside the data they concern. Owns SQL and the schema; knows nothing of devices or workers.
//!
//! Both databases sit behind sqlx's `Any`: one SQL text a query and one code path, where an enum over two pools would
//! need each query twice or generics over drivers. It costs a copy of each document; what differs is in `dialect`.

mod audit;
mod callback_turns;
mod callbacks;
mod cancel;
mod check;
mod claim;
mod compressed_document;
#[cfg(test)]
mod contract;
mod database_file;
mod dialect;
mod ending;
mod error;
mod experiments;
mod group_commit;
mod history_retention;
mod hour;
mod keys;
mod lanes;
mod lease;
mod listing;
mod long_read;
mod maintenance;
pub mod metrics;
mod migrate;
mod moves;
mod nodes;
mod open;
mod pooler;
mod prepared;
mod prompt_retention;
mod queue;
mod queue_columns;
mod queue_depth;
mod quota;
mod raw;
mod record;
mod recover;
mod relabel;
mod results;
mod retention;
mod sessions;
mod shares;
mod spool;
mod state_change;
mod stored_bytes;
mod stored_report;
mod submission;
mod sweeps;
mod timeseries;
mod transaction;
mod transitions;
mod usage;
mod version;
mod write_metrics;

use std::sync::Arc;

use sqlx::AnyPool;
use tokio::sync::mpsc;

pub use callback_turns::CallsUnderWay;
pub use callbacks::{DueCallback, Tried};
pub use cancel::CancelOutcome;
pub use check::{Contents, KeptPoints};
pub use claim::Claimed;
pub use ending::Ending;
pub use error::StoreError;
pub use hour::{US_PER_HOUR, hour_of};
pub use lease::{Claim, Held};
pub use listing::{Cursor, ListOrder, ListQuery, Listed, NotACursor, UnreadPage, UnreadRow};
pub use nodes::{NodeRecord, Registered, Registration};
pub use open::sqlite_file;
pub use prepared::{IdempotencyKey, Quota, Submitted};
pub use queue::{DeviceTime, DevicesInUse, Waiting};
pub use queue_depth::QueueDepth;
pub use record::{NewCallback, NewExperiment, Record};
pub use recover::{Abandoned, Recovered};
pub use relabel::Relabelled;
pub use retention::{Dropped, Retention};
pub use shares::{NoneLeft, Share, Shares};
pub use spool::{DrainError, Drained, Spool};
pub use sweeps::{NewSweep, SweepPlan, SweepRecord, SweepRun};
pub use timeseries::{KeptTimeseries, Timeseries};
pub use usage::{HourOfUsage, Usage};
pub use version::Version;

use crate::metrics::StoreMetrics;
use database_file::DatabaseFile;
use dialect::Dialect;

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    /// For what requests ask. Each statement has its time; long ones take turns.
    reads: AnyPool,
    /// For what the server itself must know to go on, which no request may keep waiting.
    own: AnyPool,
    /// Turns of long reads, by caller.
    turns: Shares,
    /// Whose turn the next long read takes.
    caller: Arc<str>,
    /// On SQLite a pool of one connection: writers wait here, in order, and not in the database's busy loop.
    writes: AnyPool,
    /// `None` unless the database is an SQLite file.
    file: Option<DatabaseFile>,
    submissions: mpsc::Sender<group_commit::Waiting>,
    moved: transitions::Bell,
    lanes: lanes::Lanes,
    metrics: StoreMetrics,
}
