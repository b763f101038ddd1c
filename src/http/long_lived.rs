//! Concurrency limits on what lasts longer than a request: streams, waiting requests and exports. Each caller may hold
//! only a share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Caller;
use super::problem::Problem;
use joulemark_store::{Share, Shares};

/// The limit on streams and waiting requests, which last long but take almost no CPU time.
#[derive(Clone, Debug)]
pub struct Streams(Shares);

impl Streams {
    /// Creates a limit of `count`, of which each caller may hold `share_percent`.
    pub fn new(count: u32, share_percent: u32) -> Self {
        Self(Shares::new(count, share_percent))
    }

    /// Returns how many streams and waiting requests are open.
    pub fn taken(&self) -> u32 {
        self.0.taken()
    }

    /// Takes a permit for a stream or a waiting request.
    ///
    /// # Errors
    /// Returns a `Problem` if the limit is reached, or if the caller has its share.
    pub fn take(&self, caller: &Caller) -> Result<Share, Problem> {
        self.0.try_take(&caller.held_as()).map_err(Problem::too_many_streams)
    }
}

/// Number of open exports per export whose rows are being made: most open exports wait for their clients.
const OPEN_A_TURN: u32 = 16;

/// The limits on open exports, and on exports whose rows are being made, each of which uses a CPU core.
#[derive(Clone, Debug)]
pub struct Exports {
    open: Shares,
    turns: Arc<Semaphore>,
}

impl Exports {
    /// Creates the limits. One caller may have `turn_count` exports open.
    pub fn new(turn_count: usize) -> Self {
        let turn_count = u32::try_from(turn_count).unwrap_or(u32::MAX / OPEN_A_TURN);
        Self {
            open: Shares::with_share(turn_count.saturating_mul(OPEN_A_TURN), turn_count),
            turns: Arc::new(Semaphore::new(turn_count as usize)),
        }
    }

    /// Takes a permit for an open export.
    ///
    /// # Errors
    /// Returns a `Problem` if the limit is reached, or if the caller has as many open as it may.
    pub fn take(&self, caller: &Caller) -> Result<ExportPermit, Problem> {
        let taken = self.open.try_take(&caller.held_as());
        let permit = taken.map_err(Problem::too_many_exports)?;
        Ok(ExportPermit {
            turns: self.turns.clone(),
            _permit: permit,
        })
    }
}

/// The permit of an open export.
#[derive(Debug)]
pub struct ExportPermit {
    turns: Arc<Semaphore>,
    _permit: Share,
}

impl ExportPermit {
    /// Waits until the export may make its next rows.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }
}
