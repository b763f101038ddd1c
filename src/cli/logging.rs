//! Starts the server's log.

use std::io::{IsTerminal as _, stderr};
use std::panic::PanicHookInfo;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};
use crate::log_writer::LogWriter;
use joulemark_measurement::quoted;

/// Starts the server's log on standard error.
pub fn start_server(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.telemetry.log)
        .with_context(|| format!("log is {}", quoted(&settings.telemetry.log)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .with_writer(LogWriter::default);
    match settings.telemetry.log_format {
        LogFormat::Human => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).init(),
    }
    if !settings.telemetry.log_worker_output {
        std::panic::set_hook(Box::new(log_place_of_panic));
    }
    Ok(())
}

/// Logs where the server panicked, but not the message, which may quote a prompt.
fn log_place_of_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!("thread {name} panicked at {place}; set log_worker_output to log its message");
}
