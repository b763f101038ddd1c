//! Moves with all that follows from them, in one transaction. Everything that moves an experiment does it here.

use jiff::Timestamp;
use sqlx::Transaction;
use sqlx::any::Any;

use super::state_change::write_state;
use super::{StoreError, sweeps};
use joulemark_experiment::{ExperimentId, Failure, State};

/// Writes a move that was checked in the same transaction. At an end a search that waited for it goes on.
pub async fn set_state(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    (to, failure): (State, Option<&Failure>),
    now: Timestamp,
) -> Result<(), StoreError> {
    write_state(transaction, id, (to, failure), now).await?;
    if to.is_finished() {
        // Apart from what every move keeps on its stack.
        Box::pin(sweeps::go_on(transaction, id, now)).await?;
    }
    Ok(())
}
