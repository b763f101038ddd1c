//! The server's metrics for Prometheus, gathered at scrape time. The other layers count into `crate::metrics` and do
//! not know about the format.

mod exposition;
mod gather;
pub mod own;
mod process;
mod requests;
pub mod scrape;

pub use own::Metrics;
pub use requests::{RequestLabels, method_name};
