//! How often the meter's thread swept in time. Shared by the thread, which counts, and those who read the counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of the sweeps that were made and of those that were missed.
#[derive(Clone, Debug, Default)]
pub struct Punctuality(Arc<[AtomicU64; 2]>);

impl Punctuality {
    /// Counts one sweep, and the sweeps that were missed before it.
    pub fn note(&self, missed: u64) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(missed, Ordering::Relaxed);
    }

    /// Returns the sweeps that were made and those that were missed.
    pub fn counts(&self) -> [u64; 2] {
        [0, 1].map(|at| self.0[at].load(Ordering::Relaxed))
    }
}
