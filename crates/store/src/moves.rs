//! State transitions with their consequences, in one transaction. Every transition after the claim goes through this
//! module.

use jiff::Timestamp;
use sqlx::Transaction;
use sqlx::any::Any;

use super::state_change::write_state;
use super::{StoreError, sweeps};
use joulemark_experiment::{ExperimentId, Failure, State};

/// Writes a transition that was checked in the same transaction. A final state also continues the search that waited
/// for the experiment.
pub async fn set_state(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    (to, failure): (State, Option<&Failure>),
    now: Timestamp,
) -> Result<(), StoreError> {
    write_state(transaction, id, (to, failure), now).await?;
    if to.is_finished() {
        // Boxed, so that the future of every transition does not have the size of a search step.
        Box::pin(sweeps::continue_search(transaction, id, now)).await?;
    }
    Ok(())
}
