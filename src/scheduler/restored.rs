//! Logs the outcome of restoring the power limits and clocks of boards.

use joulemark_power_control::{Restored, RestoredBoard};

/// Logs the outcome for each board.
pub fn log_restored(all: &[RestoredBoard]) {
    for board in all {
        match board.restored {
            Restored::Back { .. } => tracing::info!("GPU {board}"),
            Restored::LeftAlone { .. } => tracing::warn!("GPU {board}"),
            Restored::Failed(_) => tracing::error!("GPU {board}; trying again later"),
        }
    }
}
