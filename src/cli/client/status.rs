//! `joulemark status`: prints or watches the progress of experiments.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{OutputArguments, ServerArguments};
use super::session::{self, Session};
use super::{ending::Ending, outlook, rows, watch::watch};
use crate::client::Document;
use joulemark_experiment::ExperimentId;

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// IDs of the experiments.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<ExperimentId>,
    /// Watch each experiment until it ends; the exit code reports its end. JSON output is one line for each change of
    /// state.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: StatusArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        let mut ending = Ending::Done;
        for &id in &arguments.ids {
            if arguments.watch {
                ending = ending.and(follow(session, id).await?);
            } else {
                print(
                    session,
                    &session.of_experiment(id, session.server.show(id).await).await?,
                )?;
            }
        }
        Ok(ending)
    })
}

fn print(session: &Session, document: &Document) -> anyhow::Result<()> {
    if session.is_json() {
        session.print_document(document)
    } else {
        session.print(&rows::block(&document.value, session.has_colours()))
    }
}

async fn follow(session: &Session, id: ExperimentId) -> anyhow::Result<Ending> {
    let first = session.of_experiment(id, session.server.show(id).await).await?;
    let mut printed = first.value["state"].clone();
    // People see the changes of state on standard error; a program gets the document at each change.
    if session.is_json() {
        session.print_document(&first)?;
    } else if let Some(queue) = outlook::queue(&first.value) {
        session.reporter.say(&format!("queue: {queue}"));
    }
    let finished = first.state().filter(|state| state.is_finished());
    let (changes, mut changed) = tokio::sync::mpsc::unbounded_channel();
    let watched = async {
        let state = match finished {
            Some(state) => Ok(state),
            None => {
                // The receiver ends only after the sender is dropped.
                let send = |state| _ = changes.send(state);
                watch(session, id, send).await
            }
        };
        drop(changes);
        state
    };
    let documents = async {
        while let Some(state) = changed.recv().await {
            if session.is_json() && printed != state.as_str() {
                let mut document = session.server.show(id).await?;
                // The experiment may have changed state again; this line reports the earlier change.
                document.value["state"] = state.as_str().into();
                printed = document.value["state"].clone();
                session.print_value(&document.value)?;
            }
        }
        anyhow::Ok(())
    };
    let (state, ()) = tokio::try_join!(watched, documents)?;
    if !session.is_json() {
        print(session, &session.server.show(id).await?)?;
    }
    Ok(Ending::of_state(state))
}
