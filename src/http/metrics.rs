//! What this server counts and measures, for Prometheus. Gathered when it is asked for, in one place; the rooms below
//! count by `crate::metrics` and know nothing of it.

mod exposition;
mod gather;
pub mod own;
mod process;
mod requests;
pub mod scrape;

pub use own::Metrics;
pub use requests::{RequestLabels, method_name};
