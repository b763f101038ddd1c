use jiff::Timestamp;

use super::record::id as id_of;
use super::standing::{set_state, standing};
use super::{Store, StoreError};
use crate::experiment::{Failure, FailureReason, State};

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
    /// At start-up: whatever runs according to the database has no server any more. It goes back to the queue, or fails
    /// as interrupted once it was claimed `max_attempts` times. A worker that still lives loses its attempt.
    ///
    /// # Errors
    /// When the database fails; nothing is recovered then.
    pub async fn recover(&self, max_attempts: u32, now: Timestamp) -> Result<Recovered, StoreError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(self.dialect.lock_running())
            .fetch_all(&mut *transaction)
            .await?;
        let mut recovered = Recovered::default();
        for row in &rows {
            let (id, standing) = (id_of(row, "id")?, standing(row)?);
            if standing.cancel_requested {
                set_state(&mut transaction, id, (State::Cancelled, None), now).await?;
                recovered.cancelled += 1;
            } else if standing.attempt >= max_attempts {
                let failure = interrupted(standing.state, standing.attempt);
                set_state(&mut transaction, id, (State::Failed, Some(&failure)), now).await?;
                recovered.failed += 1;
            } else {
                set_state(&mut transaction, id, (State::Queued, None), now).await?;
                recovered.requeued += 1;
            }
        }
        transaction.commit().await?;
        Ok(recovered)
    }
}

fn interrupted(state: State, attempts: u32) -> Failure {
    Failure {
        reason: FailureReason::Interrupted,
        message: format!("the server went away while the experiment was {state}, in the last of {attempts} attempts"),
        rank: None,
        signal: None,
        exit_code: None,
        log_tail: Vec::new(),
    }
}
