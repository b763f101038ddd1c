//! `joulemark db check`.

use anyhow::bail;

use crate::cli::say::say;
use crate::config::Settings;
use joulemark_store::Contents;

/// Maximum number of problems that are printed; of further ones only the number is.
const MAX_SHOWN: usize = 20;

/// Checks the database and prints its content and its problems. Returns an error when it has problems.
pub async fn check(settings: &Settings) -> anyhow::Result<()> {
    let store = super::open::open_as_it_is(settings).await?;
    store.require_present_schema().await?;
    say(&format!("schema {}\n", store.schema_version().await?))?;
    let Contents {
        by_state,
        raw_experiments,
        raw_bytes,
        samples,
        tokens,
    } = store.contents().await?;
    let total = by_state.iter().map(|(_, count)| count).sum::<u64>();
    let states = by_state.iter().filter(|(_, count)| *count > 0);
    let states = states
        .map(|(state, count)| format!("{count} {state}"))
        .collect::<Vec<_>>();
    say(&format!("{total} experiments: {}\n", states.join(", ")))?;
    say(&format!(
        "raw data of {raw_experiments} experiments, {raw_bytes} bytes\n"
    ))?;
    for (what, kept) in [("device samples", samples), ("tokens", tokens)] {
        if kept.points > 0 {
            let each = kept.bytes as f64 / kept.points as f64;
            say(&format!(
                "  {} {what} in {} bytes: {each:.2} bytes each\n",
                kept.points, kept.bytes
            ))?;
        }
    }
    let problems = store.problems().await?;
    store.close().await;
    for problem in problems.iter().take(MAX_SHOWN) {
        say(&format!("problem: {problem}\n"))?;
    }
    if problems.len() > MAX_SHOWN {
        say(&format!("and {} more\n", problems.len() - MAX_SHOWN))?;
    }
    match problems.len() {
        0 => {
            say("no problem found\n")?;
            Ok(())
        }
        count => bail!("the database has {count} problems"),
    }
}
