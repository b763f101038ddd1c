//! Sweeps: an experiment many times over, as one submission and as one table.

pub mod cancel;
pub mod curve;
pub mod export;
pub mod list;
mod points;
pub mod show;
pub mod submit;
pub mod table;
pub mod view;

use super::problem::Problem;
use super::state::AppState;
use joulemark_experiment::ExperimentId;
use joulemark_store::SweepRecord;

/// Returns a sweep as it is stored.
///
/// # Errors
/// Returns a [`Problem`] where there is none of this id, or the database fails.
pub async fn find(state: &AppState, id: ExperimentId) -> Result<SweepRecord, Problem> {
    let found = state.resources.store.sweep(id).await?;
    found.ok_or_else(|| Problem::no_sweep(id))
}
