use super::say::say;

/// Writes an experiment with every field to standard output.
pub fn run() -> anyhow::Result<()> {
    say(&joulemark_experiment::example())
}
