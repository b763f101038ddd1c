//! One writer of submissions: those that arrive while one transaction is being made durable go into the next together,
//! so that many of them share the wait for the disk. Nobody is answered before the commit that holds his.

use tokio::sync::{mpsc, oneshot};

use super::prepared::Prepared;
use super::submission;
use super::transaction::{Writer, begin, commit};
use super::transitions::Bell;
use super::write_metrics::timed;
use super::{IdempotencyKey, NewExperiment, Quota, Store, StoreError, Submitted};
use crate::metrics::StoreMetrics;

/// Larger groups save nothing more, and hold the writer longer.
const MAX_TOGETHER: usize = 512;

/// A submission and who waits for its outcome.
#[derive(Debug)]
pub struct Waiting {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Submitted, StoreError>>,
}

/// Starts the writer; it ends once every sender is gone.
pub fn start(writer: Writer, (moved, metrics): (Bell, StoreMetrics)) -> mpsc::Sender<Waiting> {
    let (sender, mut arriving) = mpsc::channel(2 * MAX_TOGETHER);
    tokio::spawn(async move {
        let mut group = Vec::new();
        while arriving.recv_many(&mut group, MAX_TOGETHER).await > 0 {
            metrics.group_size.observe(group.len() as f64);
            commit_group(&writer, &mut group, &metrics).await;
            moved.ring();
        }
    });
    sender
}

async fn commit_group(writer: &Writer, group: &mut Vec<Waiting>, metrics: &StoreMetrics) {
    let prepared = group.iter().map(|waiting| &waiting.prepared).collect::<Vec<_>>();
    match timed(metrics, "submit", transaction(writer, &prepared)).await {
        Ok(outcomes) => {
            for (waiting, outcome) in group.drain(..).zip(outcomes) {
                // Who no longer waits finds its experiment in the list.
                let _ = waiting.answer.send(Ok(outcome));
            }
        }
        Err(StoreError::Unavailable(source)) => {
            for waiting in group.drain(..) {
                let _ = waiting.answer.send(Err(StoreError::Unavailable(source.clone())));
            }
        }
        // One that the database refuses does not take the others down with it.
        Err(_) => {
            for waiting in group.drain(..) {
                let outcome = transaction(writer, &[&waiting.prepared]).await;
                let id = waiting.prepared.id;
                let _ = waiting.answer.send(match outcome {
                    Ok(outcomes) => Ok(outcomes[0]),
                    Err(StoreError::Refused(sqlx::Error::Database(error))) if error.is_unique_violation() => {
                        Err(StoreError::Duplicate(id))
                    }
                    Err(error) => Err(error),
                });
            }
        }
    }
}

async fn transaction(writer: &Writer, group: &[&Prepared]) -> Result<Vec<Submitted>, StoreError> {
    let mut transaction = begin(writer).await?;
    let outcomes = submission::write(writer.dialect, &mut transaction, group).await?;
    commit(transaction).await?;
    Ok(outcomes)
}

impl Store {
    /// Queues an experiment. It is durable once this returns.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is taken: an earlier call whose answer was lost did its work.
    pub async fn insert(&self, new: &NewExperiment) -> Result<(), StoreError> {
        self.submit(new, None, Quota::default()).await.map(drop)
    }

    /// Likewise, once a key, and where there is room: whoever comes with a key that was there, or finds no room, queues
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub async fn submit(
        &self,
        new: &NewExperiment,
        key: Option<IdempotencyKey>,
        quota: Quota,
    ) -> Result<Submitted, StoreError> {
        let prepared = Prepared::new(new, key, quota)?;
        let (answer, outcome) = oneshot::channel();
        let gone = || StoreError::from(sqlx::Error::WorkerCrashed);
        let sent = self.submissions.send(Waiting { prepared, answer }).await;
        sent.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
