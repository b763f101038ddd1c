//! Runs a subcommand of the client: connects to the server, prints, and turns the outcome into an exit code.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;

use super::arguments::{OutputArguments, ServerArguments};
use super::{ending::Ending, error_text, reporter::Reporter};
use crate::client::{ClientError, Document, Server, Setup};
use joulemark_experiment::ExperimentId;

/// One run of a subcommand, with its server and its output.
pub struct Session {
    pub server: Server,
    pub reporter: Reporter,
    pub is_terminal: bool,
    wants_json: Option<bool>,
}

impl Session {
    fn new(arguments: &ServerArguments, output: Option<&OutputArguments>, reporter: &Reporter) -> anyhow::Result<Self> {
        let notice = reporter.clone();
        let server = Server::new(Setup {
            address: arguments.address()?,
            credential: arguments.credential()?,
            authorities: arguments.authorities()?,
            retry: Duration::from_secs(arguments.retry_sec.into()),
            notice: Box::new(move |line| notice.say(line)),
        })?;
        let wants_json = output
            .filter(|output| output.json || output.table)
            .map(|output| output.json);
        Ok(Self {
            server,
            reporter: reporter.clone(),
            is_terminal: stdout().is_terminal(),
            wants_json,
        })
    }

    /// Returns whether to print JSON: as requested, else if standard output is not a terminal.
    pub fn is_json(&self) -> bool {
        self.wants_json.unwrap_or(!self.is_terminal)
    }

    /// Returns whether to print colours, by <https://no-color.org>.
    pub fn has_colours(&self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        self.is_terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Returns what the server answered about an experiment. When there is no such experiment but a sweep with this id,
    /// the error names the command for sweeps.
    pub async fn of_experiment<T>(&self, id: ExperimentId, answer: Result<T, ClientError>) -> anyhow::Result<T> {
        if let Err(ClientError::Refused(problem)) = &answer
            && problem.short_kind() == "no-such-experiment"
        {
            let query = [("fields".to_owned(), "id".to_owned())];
            if self.server.sweep(id, &query).await.is_ok() {
                bail!("{id} is a sweep: joulemark sweep {id}");
            }
        }
        Ok(answer?)
    }

    /// Prints the text and a line end, and flushes, since the reader of a pipe may wait for it.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        self.reporter.clear();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// Prints a document: indented on a terminal, else on one line, as received if it is on one.
    pub fn print_document(&self, document: &Document) -> anyhow::Result<()> {
        if self.is_terminal {
            self.print(&serde_json::to_string_pretty(&document.value)?)
        } else {
            self.print(&one_line(document)?)
        }
    }

    /// Prints a value as JSON: indented on a terminal, else on one line.
    pub fn print_value(&self, value: &Value) -> anyhow::Result<()> {
        let text = if self.is_terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        self.print(&text?)
    }
}

fn one_line(document: &Document) -> serde_json::Result<String> {
    let text = document.text.trim();
    if text.contains('\n') {
        serde_json::to_string(&document.value)
    } else {
        Ok(text.to_owned())
    }
}

/// Runs a subcommand and returns its exit code, also when it is interrupted or `--timeout-sec` expires.
pub fn run(
    arguments: &ServerArguments,
    output: Option<&OutputArguments>,
    is_quiet: bool,
    command: impl AsyncFnOnce(&Session) -> anyhow::Result<Ending>,
) -> ExitCode {
    let reporter = Reporter::new(is_quiet);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| {
            runtime.block_on(async {
                let session = Session::new(arguments, output, &reporter)?;
                tokio::select! {
                    outcome = command(&session) => outcome,
                    _ = tokio::signal::ctrl_c() => Ok(Ending::Interrupted),
                    () = timed_out(arguments.timeout_sec) => Ok(Ending::TimedOut),
                }
            })
        });
    reporter.clear();
    let note = reporter.interruption_note();
    let ending = outcome.unwrap_or_else(|error| {
        let ending = Ending::of_error(&error);
        // The reader closed the pipe, so there is nobody to print a message for.
        if ending != Ending::BrokenPipe {
            reporter.say_always(&format!("joulemark: {}", error_text::text(&error)));
        }
        ending
    });
    match ending {
        Ending::Interrupted => reporter.say_always(format!("interrupted\n{note}").trim_end()),
        Ending::TimedOut => reporter.say_always(format!("joulemark: --timeout-sec expired\n{note}").trim_end()),
        Ending::Unavailable if !note.is_empty() => reporter.say_always(&note),
        _ => {}
    }
    ending.into()
}

async fn timed_out(timeout_sec: Option<u32>) {
    match timeout_sec {
        Some(sec) => tokio::time::sleep(Duration::from_secs(sec.into())).await,
        None => std::future::pending().await,
    }
}
