//! Counts the sweeps of the meter's thread that were made and that were missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of the sweeps that were made and of those that were missed. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct SweepCounts(Arc<[AtomicU64; 2]>);

impl SweepCounts {
    /// Counts one sweep, and `missed` sweeps before it.
    pub fn note(&self, missed: u64) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(missed, Ordering::Relaxed);
    }

    /// Returns the number of sweeps made and the number missed.
    pub fn counts(&self) -> [u64; 2] {
        [0, 1].map(|at| self.0[at].load(Ordering::Relaxed))
    }
}
