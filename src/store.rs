//! Experiments and their results in a database. The experiments table is the queue: claiming, moving on and storing a
//! result are transactions beside the data they concern. Owns SQL and the schema; knows nothing of devices or workers.
//!
//! Both databases sit behind sqlx's `Any`: one SQL text a query and one code path, where an enum over two pools would
//! need each query twice or generics over drivers. It costs a copy of each document; what differs is in `dialect`.

mod audit;
mod cancel;
mod claim;
#[cfg(test)]
mod contract;
mod dialect;
mod error;
mod experiments;
mod keys;
mod migrate;
mod open;
mod quota;
mod record;
mod recover;
mod results;
mod standing;
mod timeseries;

use sqlx::AnyPool;

pub use cancel::CancelOutcome;
pub use error::StoreError;
pub use experiments::ListQuery;
pub use record::{NewExperiment, Record};
pub use recover::Recovered;
pub use timeseries::Timeseries;

use dialect::Dialect;

/// The database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    reads: AnyPool,
    /// On SQLite a pool of one connection: writers wait here, in order, and not in the database's busy loop.
    writes: AnyPool,
}
