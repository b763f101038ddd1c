//! `joulemark sweep`: submits a sweep from a file or shows a stored one, waits for it and prints its table.

mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::arguments::{OutputArguments, ServerArguments};
use super::ending::Ending;
use super::given_file::{STANDARD_INPUT, media_type, read_file, read_input};
use super::quantity;
use super::session::{self, Session};
use crate::client::Document;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock::Monotonic;

#[derive(Debug, Args)]
pub struct SweepArguments {
    /// File with a sweep, in JSON or YAML: `base`, an experiment, `axes`, fields with their values, and the options in
    /// docs/sweeps.md; - is standard input. Or the ID of a sweep on the server, whose table is printed.
    #[arg(value_name = "FILE|ID")]
    file: PathBuf,
    /// Wait until the sweep ends and print its table. The exit code tells whether all experiments completed; for an ID
    /// it does so without --wait too.
    #[arg(long)]
    wait: bool,
    /// Metrics of the table, by name (see docs/metrics.md) [default: those of a comparison, p99_ttft_ms and those of
    /// the goal].
    #[arg(long, value_name = "NAME", num_args = 1..)]
    metric: Vec<String>,
    /// Print only the ID, at once, and only errors on standard error.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

/// How to follow an accepted sweep.
pub struct FollowOptions {
    wait: bool,
    quiet: bool,
    /// Names of the metrics, separated by commas; `None` for the server's default.
    metrics: Option<String>,
}

impl FollowOptions {
    /// Creates the options with the server's default metrics.
    pub fn new(wait: bool, quiet: bool) -> Self {
        Self {
            wait,
            quiet,
            metrics: None,
        }
    }
}

/// Interval between two requests for the progress.
const PERIOD: Duration = Duration::from_secs(1);

pub fn run(arguments: SweepArguments) -> ExitCode {
    // Standard input is read before Ctrl-C is handled, so that Ctrl-C ends a wait for it.
    let input = (arguments.file == Path::new(STANDARD_INPUT)).then(read_input);
    let stored = stored(&arguments.file);
    session::run(
        &arguments.server,
        Some(&arguments.output),
        arguments.quiet,
        async |session| {
            let how = FollowOptions {
                metrics: (!arguments.metric.is_empty()).then(|| arguments.metric.join(",")),
                ..FollowOptions::new(arguments.wait, arguments.quiet)
            };
            if let Some(id) = stored {
                return finish(session, id, &how).await;
            }
            if how.metrics.is_some() && !how.wait {
                bail!("--metric selects columns of the table: add --wait, or give the ID of a sweep");
            }
            let input = input.transpose().context("standard input")?;
            let (shown, bytes) = read_file(&arguments.file, input.as_deref())?;
            let sent = session
                .server
                .submit_sweep(&bytes, media_type(&arguments.file, &bytes))
                .await;
            follow(session, &sent.context(shown)?, &how).await
        },
    )
}

/// Returns the id of a stored sweep; `None` for the name of a file. A file with such a name is read.
fn stored(file: &Path) -> Option<ExperimentId> {
    let id = file.to_str()?.parse().ok()?;
    (!file.exists()).then_some(id)
}

/// Prints what was accepted, and with `--wait` waits and prints the table.
pub async fn follow(session: &Session, accepted: &Document, how: &FollowOptions) -> anyhow::Result<Ending> {
    let id: ExperimentId = accepted.id().parse().context("the server's response has no id")?;
    let count = |pointer: &str| accepted.value.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    if how.quiet {
        session.print(accepted.id())?;
    } else if !how.wait && session.is_json() {
        session.print_document(accepted)?;
    } else if !how.wait {
        session.print(accepted.id())?;
    }
    session.reporter.say(&format!(
        "submitted {id}: {} points, {} experiments",
        count("/points"),
        count("/progress/experiments")
    ));
    if !how.wait {
        return Ok(Ending::Done);
    }
    finish(session, id, how).await
}

/// Waits until the sweep has ended, if requested, and prints its table.
async fn finish(session: &Session, id: ExperimentId, how: &FollowOptions) -> anyhow::Result<Ending> {
    if how.wait {
        session
            .reporter
            .set_interruption_note(format!("the sweep goes on; show it with\n  joulemark sweep {id}"));
        wait(session, id).await?;
        session.reporter.set_interruption_note("");
    }
    let metrics = how.metrics.clone().map(|names| ("metrics".to_owned(), names));
    let shown = session
        .server
        .sweep(id, &metrics.into_iter().collect::<Vec<_>>())
        .await?;
    if !how.quiet && session.is_json() {
        session.print_document(&shown)?;
    } else if !how.quiet {
        session.print(&table::table(&shown.value))?;
        if shown.value["state"] == "running" {
            session.reporter.say(&format!("running: {}", progress(&shown.value).1));
        }
    }
    Ok(ending(&shown.value))
}

/// Waits until the sweep has ended; prints a line whenever another experiment has ended.
async fn wait(session: &Session, id: ExperimentId) -> anyhow::Result<()> {
    let query = [("fields".to_owned(), "state,progress,eta".to_owned())];
    let (begun, mut printed) = (Monotonic::now(), None);
    loop {
        let now = session.server.sweep(id, &query).await?.value;
        let line = progress(&now);
        if printed.as_ref() != Some(&line.0) {
            let after = Monotonic::now().sec_since(begun);
            session.reporter.say(&format!("{after:8.1} s  {}", line.1));
            printed = Some(line.0);
        }
        if now["state"] != "running" {
            return Ok(());
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Returns the number of ended experiments and a line of text on the progress.
fn progress(sweep: &Value) -> (u64, String) {
    let count = |name: &str| sweep["progress"][name].as_u64().unwrap_or(0);
    let ended = count("completed") + count("failed") + count("cancelled");
    let mut line = format!("{ended} of {} done", count("experiments"));
    for bad in ["failed", "cancelled"] {
        if count(bad) > 0 {
            line.push_str(&format!(", {} {bad}", count(bad)));
        }
    }
    if let Some(left) = sweep["eta"]["left_sec"].as_f64().filter(|left| *left > 0.0) {
        line.push_str(&format!(", about {} left", quantity::duration(left)));
    }
    (ended, line)
}

/// Returns the outcome of a sweep: whether it ended and all its experiments completed.
fn ending(sweep: &Value) -> Ending {
    let count = |name: &str| sweep["progress"][name].as_u64().unwrap_or(0);
    if sweep["state"] == "running" {
        return Ending::Unfinished;
    }
    match (count("failed"), count("cancelled")) {
        (0, 0) => Ending::Done,
        (0, _) => Ending::of_state(State::Cancelled),
        _ => Ending::of_state(State::Failed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_progress_line_counts_the_ended_experiments_and_estimates_the_time_left() {
        let mut sweep = json!({"state": "running", "eta": {"left_sec": 75.0},
            "progress": {"experiments": 12, "completed": 3, "failed": 1, "cancelled": 0, "queued": 7, "running": 1}});
        let (ended, line) = progress(&sweep);
        assert_eq!(
            (ended, line.as_str()),
            (4, "4 of 12 done, 1 failed, about 1 min 15 s left")
        );
        assert_eq!(ending(&sweep), Ending::Unfinished);
        sweep["state"] = "finished".into();
        assert_eq!(ending(&sweep), Ending::of_state(State::Failed));
        assert_eq!(ending(&json!({"progress": {"completed": 2}})), Ending::Done);
    }
}
