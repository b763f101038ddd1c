//! `joulemark example`.

use super::say::say;

/// Prints an experiment with every field.
pub fn run() -> anyhow::Result<()> {
    say(&joulemark_experiment::example())
}
