mod admission;
pub mod cancel;
pub mod events;
mod idempotency;
pub mod list;
pub mod processes;
pub mod results;
pub mod show;
pub mod submit;
pub mod timeseries;
mod view;
mod wait;

pub use admission::UnderWay;

use super::problem::Problem;
use crate::experiment::ExperimentId;
use crate::store::{Record, Store};

async fn find(store: &Store, id: ExperimentId) -> Result<Record, Problem> {
    store.get(id).await?.ok_or_else(|| Problem::no_experiment(id))
}
