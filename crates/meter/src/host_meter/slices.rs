//! MIG slices: which board one is cut from. Energy is read for whole boards, so that this is all there is to say of them.

use super::HostMeter;
use crate::source::GpuDevice;

const SLICE: &str = "MIG-";

/// The name of a slice before driver 470: the board's UUID is in it.
fn board_in_the_name(slice: &str) -> Option<&str> {
    let (board, _) = slice.strip_prefix(SLICE)?.split_once('/')?;
    board.starts_with("GPU-").then_some(board)
}

impl HostMeter {
    /// Returns why a GPU named like this cannot be metered and what to name instead, when it is a MIG slice: "is a MIG slice
    /// of GPU 0 …". `None` for any other name. Asks the driver, which may block.
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
        None => ", and the driver does not tell of which board".to_owned(),
    };
    let there = match gpus {
        [] => "there is none here".to_owned(),
        gpus => format!("there are {}", gpus.iter().map(shown).collect::<Vec<_>>().join("; ")),
    };
    format!("is a MIG slice{of}; only whole boards can be metered, by index or UUID: {there}")
}

fn shown(gpu: &GpuDevice) -> String {
    format!(
        "{} ({}, {})",
        gpu.index,
        gpu.name.as_deref().unwrap_or("unnamed"),
        gpu.uuid
    )
}
