//! Prints what a command answers.

use std::io::{Write as _, stdout};

use anyhow::Context as _;

/// Writes a text to standard output, whole.
///
/// # Errors
/// When it cannot be written: its disk is full, or its reader is gone.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.context("standard output cannot be written")
}
