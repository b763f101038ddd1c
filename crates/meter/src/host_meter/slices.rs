//! Maps MIG slices to the boards that they are part of. Energy is read for whole boards only.

use super::HostMeter;
use crate::source::GpuDevice;

/// Prefix of a MIG slice's name.
const SLICE: &str = "MIG-";

/// Returns the board's UUID, which a slice's name contains before driver 470.
fn board_in_the_name(slice: &str) -> Option<&str> {
    let (board, _) = slice.strip_prefix(SLICE)?.split_once('/')?;
    board.starts_with("GPU-").then_some(board)
}

impl HostMeter {
    /// Returns the reason why a GPU with this name cannot be metered, and what to name instead, when it is a MIG slice:
    /// "is a MIG slice of GPU 0 …". Returns `None` for any other name. Asks the driver, which may block.
    pub fn refused_slice(&self, name: &str) -> Option<String> {
        if !name.starts_with(SLICE) {
            return None;
        }
        let asked = || self.0.boards_of_slices.iter().find_map(|board_of| board_of(name));
        let board = board_in_the_name(name).map(str::to_owned).or_else(asked);
        let gpus = &self.0.devices.gpus;
        let found = board
            .as_ref()
            .and_then(|board| gpus.iter().find(|gpu| gpu.uuid == *board));
        Some(refusal(board.as_deref(), found, gpus))
    }
}

/// Returns the text for a slice, given its board's UUID and device where they are known.
fn refusal(board: Option<&str>, found: Option<&GpuDevice>, gpus: &[GpuDevice]) -> String {
    if let Some(gpu) = found {
        return format!(
            "is a MIG slice of GPU {}; only whole boards can be metered, all their slices together: name the board, {} or {}",
            shown(gpu),
            gpu.index,
            gpu.uuid
        );
    }
    let of = match board {
        Some(board) => format!(" of {board}, which this host does not have"),
        None => ", and the driver does not report its board".to_owned(),
    };
    let there = match gpus {
        [] => "there is none here".to_owned(),
        gpus => format!("there are {}", gpus.iter().map(shown).collect::<Vec<_>>().join("; ")),
    };
    format!("is a MIG slice{of}; only whole boards can be metered, by index or UUID: {there}")
}

/// Returns a GPU's index, name and UUID as text.
fn shown(gpu: &GpuDevice) -> String {
    format!(
        "{} ({}, {})",
        gpu.index,
        gpu.name.as_deref().unwrap_or("unnamed"),
        gpu.uuid
    )
}
