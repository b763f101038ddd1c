//! Stores the states of a run in the background.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scheduler::node::persist::persist;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock;
use joulemark_store::Store;

/// Stores the states that a run reaches, in order, without making the run wait for the database: only the end must be
/// stored. Stops when the last owner drops it.
#[derive(Debug)]
pub struct Milestones {
    reached: mpsc::UnboundedSender<State>,
    writer: JoinHandle<()>,
}

impl Milestones {
    /// Starts the writer. It cancels `lost` when the attempt no longer has the experiment.
    pub fn start(store: Store, (id, attempt): (ExperimentId, u32), lost: CancellationToken) -> Self {
        let (reached, mut states) = mpsc::unbounded_channel();
        let writer = tokio::spawn(async move {
            while let Some(state) = states.recv().await {
                match persist(|| store.advance(id, attempt, state, clock::wall_now())).await {
                    Ok(()) => {}
                    Err(error) if error.is_lost() => return lost.cancel(),
                    Err(error) => tracing::error!(experiment = %id, %error, "the state {state} cannot be stored"),
                }
            }
        });
        Self { reached, writer }
    }

    /// Queues a state to be stored.
    pub fn reached(&self, state: State) {
        // The channel is closed when the experiment was lost, which `lost` has already signalled.
        let _ = self.reached.send(state);
    }
}

impl Drop for Milestones {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
