//! Operations on experiments, one per file.

pub mod bundle;
pub mod callback;
pub mod cancel;
pub mod compare;
pub mod events;
pub mod export;
pub mod filter;
pub mod idempotency;
pub mod list;
pub mod manifest;
pub mod measured;
pub mod outlook;
pub mod pareto;
pub mod processes;
pub mod relabel;
mod resubmit;
pub mod results;
pub mod show;
pub mod submit;
pub mod timeseries;
pub mod view;
mod wait;

use super::access::Caller;
use super::conditional::{EntityTag, Strength};
use super::openapi::API_VERSION;
use super::problem::Problem;
use super::state::AppState;
use joulemark_experiment::{Callback, ExperimentId};
use joulemark_store::{Record, Store, Version};

/// Returns an experiment.
///
/// # Errors
/// Returns a [`Problem`] if it does not exist or the database fails.
pub async fn find(store: &Store, id: ExperimentId) -> Result<Record, Problem> {
    store.get(id).await?.ok_or_else(|| Problem::no_experiment(id))
}

/// Returns the callback of an experiment; `None` for callers who may not change the experiment, since the URL may
/// contain a secret.
async fn callback_of(state: &AppState, record: &Record, caller: &Caller) -> Result<Option<Callback>, Problem> {
    if !caller.may_change(record.submitter.as_deref()) {
        return Ok(None);
    }
    Ok(state.resources.store.callback(record.id).await?)
}

/// Returns the entity tag of an answer about a finished experiment. It depends on the experiment, on what the caller
/// may see, on `how` it is shown, and on the API's version, since a later version may add fields.
pub fn finished_tag(id: ExperimentId, version: &Version, caller: &Caller, how: &[&str]) -> EntityTag {
    let (id, updated_at) = (id.to_string(), version.updated_at.to_string());
    let whole = caller.may_see_prompts_of(version.submitter.as_deref());
    let attempt = format!("{} {whole} {API_VERSION}", version.attempt);
    let parts = [&[id.as_str(), updated_at.as_str(), attempt.as_str()][..], how].concat();
    EntityTag::new(Strength::Strong, &parts)
}
