//! Access to the timeline that the meter's thread and its readers share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::estimation::timeline::Timeline;

/// Locks the timeline. A panic while the lock was held leaves a timeline with one sample missing, which is still a
/// timeline.
pub fn lock(timeline: &Mutex<Timeline>) -> MutexGuard<'_, Timeline> {
    timeline.lock().unwrap_or_else(PoisonError::into_inner)
}
