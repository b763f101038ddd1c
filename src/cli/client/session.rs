use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::arguments::{OutputArguments, ServerArguments};
use super::{complaint, ending::Ending, reporter::Reporter};
use crate::client::{Document, Server, Setup};

/// One run of a subcommand: the server it asks, and where it prints.
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

    pub fn is_json(&self) -> bool {
        self.wants_json.unwrap_or(!self.is_terminal)
    }

    /// As <https://no-color.org> has it.
    pub fn has_colours(&self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        self.is_terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Text, and a line's end after it. Flushed: a pipe's reader may wait for it.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        self.reporter.clear();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// A document as it came, on one line; indented where people look at it.
    pub fn print_document(&self, document: &Document) -> anyhow::Result<()> {
        if self.is_terminal {
            self.print(&serde_json::to_string_pretty(&document.value)?)
        } else {
            self.print(&one_line(document)?)
        }
    }

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

/// Runs a subcommand, and turns how it ends into an exit code: also when it is interrupted, or takes too long.
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
                    () = time_is_up(arguments.timeout_sec) => Ok(Ending::TimedOut),
                }
            })
        });
    reporter.clear();
    let words = reporter.last_words();
    let ending = outcome.unwrap_or_else(|error| {
        let ending = Ending::of_error(&error);
        // Whoever closed a pipe has had enough, and knows it.
        if ending != Ending::BrokenPipe {
            reporter.complain(&format!("joulemark: {}", complaint::text(&error)));
        }
        ending
    });
    match ending {
        Ending::Interrupted => reporter.complain(format!("interrupted\n{words}").trim_end()),
        Ending::TimedOut => reporter.complain(format!("joulemark: --timeout-sec ran out\n{words}").trim_end()),
        Ending::Unavailable if !words.is_empty() => reporter.complain(&words),
        _ => {}
    }
    ending.into()
}

async fn time_is_up(timeout_sec: Option<u32>) {
    match timeout_sec {
        Some(sec) => tokio::time::sleep(Duration::from_secs(sec.into())).await,
        None => std::future::pending().await,
    }
}
