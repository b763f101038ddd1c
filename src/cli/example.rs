use anyhow::Result;
use std::io::Write as _;

/// Writes an experiment with every field to standard output.
pub fn run() -> Result<()> {
    Ok(std::io::stdout()
        .lock()
        .write_all(joulemark_experiment::example().as_bytes())?)
}
