//! Sweeps: many experiments that differ in the values of some fields, as one submission and one table.

pub mod cancel;
pub mod curve;
pub mod export;
pub mod list;
mod points;
pub mod show;
pub mod submit;
pub mod table;
pub mod view;
pub mod warnings;

use super::problem::Problem;
use super::state::AppState;
use joulemark_experiment::ExperimentId;
use joulemark_store::SweepRecord;

/// Returns a stored sweep.
///
/// # Errors
/// Returns a [`Problem`] if it does not exist or the database fails.
pub async fn find(state: &AppState, id: ExperimentId) -> Result<SweepRecord, Problem> {
    let found = state.resources.store.sweep(id).await?;
    found.ok_or_else(|| Problem::no_sweep(id))
}
