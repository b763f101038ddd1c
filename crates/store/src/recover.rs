use std::time::Duration;

use jiff::Timestamp;
use sqlx::Transaction;
use sqlx::any::Any;

use super::lease::in_us;
use super::moves::set_state;
use super::record::id as id_of;
use super::state_change::{Progress, progress};
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, Failure, FailureReason, State};

/// The experiments to recover, never those of the calling `holder`. Running experiments without a lease are always
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned<'a> {
    /// All others; for a database that one server has alone.
    All,
    /// Those of earlier incarnations of this node.
    OfNode(&'a str),
    /// Those whose lease has expired.
    Expired,
}

/// The number of recovered experiments, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub requeued: usize,
    /// Their attempts are used up.
    pub failed: usize,
    /// Their cancellation had been requested.
    pub cancelled: usize,
}

impl Store {
    /// Returns experiments without a server to the queue, or fails them as interrupted when `max_attempts` are used up.
    /// The loss of the server itself uses up no attempt. A worker that is still alive loses its attempt.
    ///
    /// # Errors
    /// Returns an error when the database fails; nothing is recovered then.
    pub async fn recover(
        &self,
        whose: Abandoned<'_>,
        holder: &str,
        max_attempts: u32,
        now: Timestamp,
    ) -> Result<Recovered, StoreError> {
        // No lease is longer than a century.
        const LONGER_THAN_ANY_LEASE: Duration = Duration::from_secs(100 * 366 * 86_400);
        let (node, over_us) = match whose {
            Abandoned::All => ("", -in_us(LONGER_THAN_ANY_LEASE)),
            Abandoned::OfNode(node) => (node, in_us(LONGER_THAN_ANY_LEASE)),
            Abandoned::Expired => ("", 0),
        };
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(self.dialect.lock_abandoned())
            .bind(holder)
            .bind(node)
            .bind(over_us)
            .fetch_all(&mut *transaction)
            .await?;
        let mut recovered = Recovered::default();
        for row in &rows {
            let (id, progress) = (id_of(row, "id")?, progress(row)?);
            match interrupt(&mut transaction, id, progress, max_attempts, now).await? {
                State::Cancelled => recovered.cancelled += 1,
                State::Failed => recovered.failed += 1,
                _ => recovered.requeued += 1,
            }
        }
        self.commit_moves(transaction).await?;
        Ok(recovered)
    }

    /// Counts an attempt as used up because the server crashed in its own work on the experiment, or could not store
    /// how it ended. The next call of [`Self::recover`] or [`Self::abandon`] acts on the count.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn use_up_attempt(&self, id: ExperimentId) -> Result<(), StoreError> {
        sqlx::query("UPDATE experiments SET interruptions = interruptions + 1 WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Does the same as [`Self::recover`] for one experiment that its own server holds without running it. Does nothing
    /// when `attempt` no longer holds it.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn abandon(
        &self,
        id: ExperimentId,
        attempt: u32,
        max_attempts: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let progress = self.lock(&mut transaction, id).await?;
        if let Some(progress) = progress.filter(|progress| progress.attempt == attempt && progress.state.is_running()) {
            interrupt(&mut transaction, id, progress, max_attempts, now).await?;
        }
        self.commit_moves(transaction).await
    }
}

/// Moves an experiment that has lost its server, and returns the new state.
async fn interrupt(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    progress: Progress,
    max_attempts: u32,
    now: Timestamp,
) -> Result<State, StoreError> {
    let (to, failure) = if progress.cancel_requested {
        (State::Cancelled, None)
    } else if progress.interruptions >= max_attempts {
        (State::Failed, Some(interrupted(progress.state, progress.interruptions)))
    } else {
        (State::Queued, None)
    };
    set_state(transaction, id, (to, failure.as_ref()), now).await?;
    Ok(to)
}

/// Returns the failure of an experiment whose attempts are used up.
fn interrupted(state: State, interruptions: u32) -> Failure {
    let times = match interruptions {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let message = format!(
        "the server crashed in its own work on the experiment, or could not store how it ended, {times}, the last time \
         while {state}: max_attempts are used up"
    );
    Failure::of_server(FailureReason::Interrupted, message)
}
