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

use super::access::Caller;
use super::problem::Problem;
use super::state::AppState;
use crate::experiment::{Callback, ExperimentId};
use crate::store::{Record, Store};

async fn find(store: &Store, id: ExperimentId) -> Result<Record, Problem> {
    store.get(id).await?.ok_or_else(|| Problem::no_experiment(id))
}

/// Who is told of its end, for those who may cancel it: the URL may hold a secret.
async fn callback_of(state: &AppState, record: &Record, caller: &Caller) -> Result<Option<Callback>, Problem> {
    if !caller.may_cancel(record.submitter.as_deref()) {
        return Ok(None);
    }
    Ok(state.store.callback(record.id).await?)
}
