//! Group commit of submissions. Submissions that arrive while a transaction is being written to disk share the next
//! transaction, and so the wait for the disk. A submission is answered after the commit that contains it.

use tokio::sync::{mpsc, oneshot};

use super::prepared::Prepared;
use super::submission;
use super::transaction::{Writer, begin, commit};
use super::transitions::ChangeNotifier;
use super::write_metrics::timed;
use super::{IdempotencyKey, NewExperiment, Quota, Store, StoreError, Submitted};
use crate::metrics::StoreMetrics;

/// Maximum number of submissions in one transaction. Larger ones are no faster and occupy the writer for longer.
const MAX_BATCH: usize = 512;

/// A submission and the channel that takes its outcome.
#[derive(Debug)]
pub struct PendingSubmission {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Submitted, StoreError>>,
}

/// Spawns the writer, which ends when every sender is dropped.
pub fn start(writer: Writer, (changes, metrics): (ChangeNotifier, StoreMetrics)) -> mpsc::Sender<PendingSubmission> {
    let (sender, mut arriving) = mpsc::channel(2 * MAX_BATCH);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while arriving.recv_many(&mut batch, MAX_BATCH).await > 0 {
            metrics.group_size.observe(batch.len() as f64);
            commit_batch(&writer, &mut batch, &metrics).await;
            changes.notify();
        }
    });
    sender
}

async fn commit_batch(writer: &Writer, batch: &mut Vec<PendingSubmission>, metrics: &StoreMetrics) {
    let prepared = batch.iter().map(|pending| &pending.prepared).collect::<Vec<_>>();
    match timed(metrics, "submit", transaction(writer, &prepared)).await {
        Ok(outcomes) => {
            for (pending, outcome) in batch.drain(..).zip(outcomes) {
                // The caller may be gone; its experiment is stored all the same.
                let _ = pending.answer.send(Ok(outcome));
            }
        }
        Err(StoreError::Unavailable(source)) => {
            for pending in batch.drain(..) {
                let _ = pending.answer.send(Err(StoreError::Unavailable(source.clone())));
            }
        }
        // The database rejected one of them: write each in a transaction of its own, so that the others succeed.
        Err(_) => {
            for pending in batch.drain(..) {
                let outcome = transaction(writer, &[&pending.prepared]).await;
                let id = pending.prepared.id;
                let _ = pending.answer.send(match outcome {
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

async fn transaction(writer: &Writer, batch: &[&Prepared]) -> Result<Vec<Submitted>, StoreError> {
    let mut transaction = begin(writer).await?;
    let outcomes = submission::write(writer.dialect, &mut transaction, batch).await?;
    commit(transaction).await?;
    Ok(outcomes)
}

impl Store {
    /// Queues an experiment. It is on disk once this returns.
    ///
    /// # Errors
    /// Returns [`StoreError::Duplicate`] when the id is stored already: an earlier call, whose answer was lost,
    /// succeeded.
    pub async fn insert(&self, new: &NewExperiment) -> Result<(), StoreError> {
        self.submit(new, None, Quota::default()).await.map(drop)
    }

    /// Queues an experiment unless its idempotency key was used before or a quota is used up. It is on disk once this
    /// returns.
    ///
    /// # Errors
    /// Returns the errors of [`Self::insert`].
    pub async fn submit(
        &self,
        new: &NewExperiment,
        key: Option<IdempotencyKey>,
        quota: Quota,
    ) -> Result<Submitted, StoreError> {
        let prepared = Prepared::new(new, key, quota)?;
        let (answer, outcome) = oneshot::channel();
        let gone = || StoreError::from(sqlx::Error::WorkerCrashed);
        let sent = self.submissions.send(PendingSubmission { prepared, answer }).await;
        sent.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
