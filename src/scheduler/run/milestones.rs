use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scheduler::node::persist::persist;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock;
use joulemark_store::Store;

/// Stores how far a run has come, in order, and does not keep it waiting for a database that is away: only the end must
/// be stored. Ends with its last owner.
#[derive(Debug)]
pub struct Milestones {
    reached: mpsc::UnboundedSender<State>,
    writer: JoinHandle<()>,
}

impl Milestones {
    /// `lost` is cancelled when the attempt turns out not to hold the experiment any more.
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

    pub fn reached(&self, state: State) {
        // Closed: the experiment was lost, and its run is being told.
        let _ = self.reached.send(state);
    }
}

impl Drop for Milestones {
    fn drop(&mut self) {
        self.writer.abort();
    }
}
