//! Prints the output of a subcommand.

use std::io::{Write as _, stdout};

use anyhow::Context as _;

/// Writes the whole text to standard output.
///
/// # Errors
/// Returns an error when it cannot be written: the disk is full, or the reader has closed the pipe.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut output = stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    written.context("standard output cannot be written")
}
