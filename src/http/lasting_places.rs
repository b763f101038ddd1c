//! Places for what lasts longer than a request: streams, waits and exports. Of each a caller has a share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::Caller;
use super::problem::Problem;
use joulemark_store::{Share, Shares};

/// Places for streams, and for requests that wait: they last, and do nearly nothing.
#[derive(Clone, Debug)]
pub struct Streams(Shares);

impl Streams {
    pub fn new(count: u32, share_percent: u32) -> Self {
        Self(Shares::new(count, share_percent))
    }

    /// Returns how many are taken.
    pub fn taken(&self) -> u32 {
        self.0.taken()
    }

    /// Takes one.
    ///
    /// # Errors
    /// A `Problem` where all are taken, or the caller has its share.
    pub fn take(&self, caller: &Caller) -> Result<Share, Problem> {
        self.0.try_take(&caller.held_as()).map_err(Problem::too_many_streams)
    }
}

/// Exports that are open for each that is made: most of them wait for their clients, and then keep no core busy.
const OPEN_A_TURN: u32 = 16;

/// Places for exports, and turns for making their rows, each of which keeps a core busy.
#[derive(Clone, Debug)]
pub struct Exports {
    open: Shares,
    turns: Arc<Semaphore>,
}

impl Exports {
    /// As many as may be made at a time are open for one caller at most.
    pub fn new(turn_count: usize) -> Self {
        let turn_count = u32::try_from(turn_count).unwrap_or(u32::MAX / OPEN_A_TURN);
        Self {
            open: Shares::with_share(turn_count.saturating_mul(OPEN_A_TURN), turn_count),
            turns: Arc::new(Semaphore::new(turn_count as usize)),
        }
    }

    /// Takes the place of one that is open.
    ///
    /// # Errors
    /// A `Problem` where all are taken, or the caller has as many as may be made at a time.
    pub fn take(&self, caller: &Caller) -> Result<ExportPlace, Problem> {
        let taken = self.open.try_take(&caller.held_as());
        let place = taken.map_err(Problem::too_many_exports)?;
        Ok(ExportPlace {
            turns: self.turns.clone(),
            _place: place,
        })
    }
}

/// The place of an export that is open.
#[derive(Debug)]
pub struct ExportPlace {
    turns: Arc<Semaphore>,
    _place: Share,
}

impl ExportPlace {
    /// Waits for its turn to make the next rows.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }
}
