//! Locks the timeline, which the meter's threads and its users share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::estimation::timeline::Timeline;

/// Locks the timeline. A panic while the lock was held leaves a valid timeline that lacks one sample.
pub fn lock(timeline: &Mutex<Timeline>) -> MutexGuard<'_, Timeline> {
    timeline.lock().unwrap_or_else(PoisonError::into_inner)
}
