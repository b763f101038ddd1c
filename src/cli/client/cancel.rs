//! `joulemark cancel`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::arguments::{OutputArguments, ServerArguments};
use super::{ending::Ending, error_text, session};
use joulemark_experiment::{ExperimentId, State};

#[derive(Debug, Args)]
pub struct CancelArguments {
    /// IDs of the experiments. If one cannot be cancelled, the others still are.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<ExperimentId>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: CancelArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        let mut ending = Ending::Done;
        for &id in &arguments.ids {
            match session.server.cancel(id).await.with_context(|| id.to_string()) {
                Ok(document) if session.is_json() => session.print_document(&document)?,
                Ok(document) if document.state() == Some(State::Cancelled) => {
                    session.print(&format!("{id} is cancelled"))?;
                }
                Ok(_) => session.print(&format!("{id} will be cancelled by the node that runs it"))?,
                Err(error) if Ending::of_error(&error) == Ending::Refused && arguments.ids.len() > 1 => {
                    session
                        .reporter
                        .say_always(&format!("joulemark: {}", error_text::text(&error)));
                    ending = ending.and(Ending::Refused);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ending)
    })
}
