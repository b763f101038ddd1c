use std::time::Duration;

use jiff::Timestamp;
use sqlx::Transaction;
use sqlx::any::Any;

use super::lease::in_us;
use super::moves::set_state;
use super::record::id as id_of;
use super::state_change::{Standing, standing};
use super::{Store, StoreError};
use joulemark_experiment::{ExperimentId, Failure, FailureReason, State};

/// Whose experiments have no server any more. Never those of `holder`, who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned<'a> {
    /// Everybody else's: the database is this server's alone.
    All,
    /// An earlier life's of this node.
    OfNode(&'a str),
    /// Those whose lease ran out.
    Expired,
}

/// How many experiments a server left behind, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub requeued: usize,
    /// Their attempts are used up.
    pub failed: usize,
    /// Their cancellation had been asked for.
    pub cancelled: usize,
}

impl Store {
    /// Sends what has no server any more back to the queue, or fails it as interrupted once it has used up
    /// `max_attempts`. That its server went away uses up none. A worker that still lives loses its attempt.
    ///
    /// # Errors
    /// When the database fails; nothing is recovered then.
    pub async fn recover(
        &self,
        whose: Abandoned<'_>,
        holder: &str,
        max_attempts: u32,
        now: Timestamp,
    ) -> Result<Recovered, StoreError> {
        // No lease is longer than a century.
        const SURELY_OVER: Duration = Duration::from_secs(100 * 366 * 86_400);
        let (node, over_us) = match whose {
            Abandoned::All => ("", -in_us(SURELY_OVER)),
            Abandoned::OfNode(node) => (node, in_us(SURELY_OVER)),
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
            let (id, standing) = (id_of(row, "id")?, standing(row)?);
            match interrupt(&mut transaction, id, standing, max_attempts, now).await? {
                State::Cancelled => recovered.cancelled += 1,
                State::Failed => recovered.failed += 1,
                _ => recovered.requeued += 1,
            }
        }
        self.commit_moves(transaction).await?;
        Ok(recovered)
    }

    /// Counts an attempt as used up by the experiment's own doing: the server crashed in its work on it, or how it ended
    /// cannot be stored. What that leads to is decided when the experiment is next recovered or abandoned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_up_attempt(&self, id: ExperimentId) -> Result<(), StoreError> {
        sqlx::query("UPDATE experiments SET interruptions = interruptions + 1 WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Likewise of one experiment that its own server holds without running it. Does nothing when `attempt` does not
    /// hold it any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon(
        &self,
        id: ExperimentId,
        attempt: u32,
        max_attempts: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let standing = self.lock(&mut transaction, id).await?;
        if let Some(standing) = standing.filter(|standing| standing.attempt == attempt && standing.state.is_running()) {
            interrupt(&mut transaction, id, standing, max_attempts, now).await?;
        }
        self.commit_moves(transaction).await
    }
}

/// Moves an experiment whose server went away, and returns where to.
async fn interrupt(
    transaction: &mut Transaction<'static, Any>,
    id: ExperimentId,
    standing: Standing,
    max_attempts: u32,
    now: Timestamp,
) -> Result<State, StoreError> {
    let (to, failure) = if standing.cancel_requested {
        (State::Cancelled, None)
    } else if standing.interruptions >= max_attempts {
        (State::Failed, Some(interrupted(standing.state, standing.interruptions)))
    } else {
        (State::Queued, None)
    };
    set_state(transaction, id, (to, failure.as_ref()), now).await?;
    Ok(to)
}

fn interrupted(state: State, interruptions: u32) -> Failure {
    let times = match interruptions {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let message = format!(
        "the server crashed in its own work on the experiment, or could not store how it ended, {times}, the last time \
         while {state}: as often as max_attempts allows"
    );
    Failure::of_server(FailureReason::Interrupted, message)
}
