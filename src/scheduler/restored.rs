//! What became of boards that had been set, in the log.

use joulemark_power_control::{Restored, RestoredBoard};

/// Logs each board.
pub fn log_restored(all: &[RestoredBoard]) {
    for board in all {
        match board.restored {
            Restored::Back { .. } => tracing::info!("GPU {board}"),
            Restored::LeftAlone { .. } => tracing::warn!("GPU {board}"),
            Restored::Failed(_) => tracing::error!("GPU {board}; it is tried again"),
        }
    }
}
