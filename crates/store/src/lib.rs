//! Experiments and their results in a database. The table of experiments is the queue: claims, transitions and results
//! are transactions. Owns the SQL and the schema; knows nothing about devices or workers.
//!
//! Both databases are used through sqlx's `Any` driver, so that there is one SQL text for each query and one code path.
//! The price is a copy of each document. SQL that differs is in `dialect`.

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

/// A handle to the database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    /// For queries on behalf of requests. On PostgreSQL their statements can have a timeout. Long reads need a permit
    /// of `turns`.
    reads: AnyPool,
    /// For short queries that the server needs to make progress, so that they do not wait behind reads on behalf of
    /// requests.
    internal: AnyPool,
    /// Permits for long reads, shared fairly between callers.
    turns: Shares,
    /// The caller that long reads are attributed to.
    caller: Arc<str>,
    /// On SQLite a pool with one connection: writers queue for it in order instead of polling the database's lock.
    writes: AnyPool,
    /// `None` unless the database is an SQLite file.
    file: Option<DatabaseFile>,
    submissions: mpsc::Sender<group_commit::PendingSubmission>,
    /// Notified after each commit that may have changed a state.
    changes: transitions::ChangeNotifier,
    lanes: lanes::Lanes,
    metrics: StoreMetrics,
}
