//! `joulemark results`: prints the metrics of completed experiments.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{OutputArguments, ServerArguments};
use super::{ending::Ending, explain::explain, metrics, session};
use joulemark_experiment::ExperimentId;

#[derive(Debug, Args)]
pub struct ResultsArguments {
    /// IDs of the experiments. JSON output is one document for each, on one line if standard output is not a terminal.
    #[arg(required_unless_present = "explain", value_name = "ID")]
    ids: Vec<ExperimentId>,
    /// Print the formula, unit, source and limits of a metric. Needs no server; `GET /v1/metrics/FIELD` returns them as
    /// JSON.
    #[arg(long, value_name = "FIELD", conflicts_with_all = ["ids", "OutputArguments"])]
    explain: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: ResultsArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        if let Some(field) = &arguments.explain {
            session.print(&explain(field)?)?;
        }
        for (number, &id) in arguments.ids.iter().enumerate() {
            let results = session.of_experiment(id, session.server.results(id).await).await?;
            if session.is_json() {
                session.print_document(&results)?;
                continue;
            }
            let table = metrics::table(&results.value);
            match arguments.ids.len() {
                1 => session.print(&table)?,
                _ if number == 0 => session.print(&format!("{id}\n\n{table}"))?,
                _ => session.print(&format!("\n{id}\n\n{table}"))?,
            }
        }
        Ok(Ending::Done)
    })
}
