//! `joulemark list`: experiments, newest first.

use std::process::ExitCode;

use clap::Args;

use super::arguments::{FilterArguments, OutputArguments, ServerArguments};
use super::session::{self, Session};
use super::{ending::Ending, rows};

/// Maximum page size of the server.
const PAGE: u64 = 500;

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    filter: FilterArguments,
    /// Maximum number of experiments to list.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// List all experiments.
    #[arg(short, long, conflicts_with = "limit")]
    all: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    server: ServerArguments,
}

pub fn run(arguments: ListArguments) -> ExitCode {
    session::run(&arguments.server, Some(&arguments.output), false, async |session| {
        list(session, &arguments).await
    })
}

async fn list(session: &Session, arguments: &ListArguments) -> anyhow::Result<Ending> {
    let mut left = if arguments.all { u64::MAX } else { arguments.limit };
    let mut cursor = None;
    let mut printed = 0_u64;
    while left > 0 {
        let mut query = arguments.filter.query();
        query.push(("limit".to_owned(), left.min(PAGE).to_string()));
        if !session.is_json() {
            // Fields that the table does not show may contain megabytes of prompts.
            query.push(("fields".to_owned(), rows::FIELDS.to_owned()));
        }
        query.extend(cursor.map(|cursor| ("cursor".to_owned(), cursor)));
        let (items, next) = session.server.page(&query).await?;
        for experiment in &items {
            if session.is_json() {
                session.print_value(experiment)?;
                continue;
            }
            if printed == 0 {
                session.print(&rows::heading())?;
            }
            session.print(&rows::row(experiment, session.has_colours()))?;
            printed += 1;
        }
        left = left.saturating_sub(items.len() as u64);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if printed == 0 && !session.is_json() {
        session.reporter.say("no experiments found");
    } else if cursor.is_some() && !session.is_json() {
        session.reporter.say(&format!(
            "there are more than {}; use --limit N or --all",
            arguments.limit
        ));
    }
    Ok(Ending::Done)
}
