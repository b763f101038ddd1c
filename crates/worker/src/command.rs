use std::convert::Infallible;
use std::io;

use clap::Args;
use joulemark_experiment::OfferedEngine;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::inference::Engine;
use crate::process::{bind_to_parent, pin_to_cpus, report_pipe};
use crate::runner::{InProcess, Runner};
use crate::{SessionError, cpu, protocol, session};

/// Arguments that the server passes to every worker.
#[derive(Debug, Args)]
pub struct RankArguments {
    /// Process id of the server; the worker ends with it.
    #[arg(long)]
    parent_pid: u32,
    /// Logical CPUs to run on.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<u32>,
}

/// The reason why a worker ended before its work was done.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error("a worker can only be started by the service: {0}")]
    ByHand(#[source] io::Error),
    #[error("cannot run on CPUs {cpus:?}: {error}")]
    Pinning { cpus: Vec<u32>, error: io::Error },
    #[error("the runtime cannot be started: {0}")]
    Runtime(#[source] io::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// Runs one rank with an engine in this process, from the first order to the last, and then ends the process.
///
/// # Errors
/// Returns a [`WorkerError`]; the server has been told about it where that was possible.
pub fn run_rank<E: Engine>(arguments: RankArguments) -> Result<Infallible, WorkerError> {
    run_rank_with::<InProcess<E>>(arguments)
}

/// Runs one rank with a runner, from the first order to the last, and then ends the process.
///
/// # Errors
/// Returns a [`WorkerError`]; the server has been told about it where that was possible.
pub fn run_rank_with<R: Runner>(arguments: RankArguments) -> Result<Infallible, WorkerError> {
    bind_to_parent(arguments.parent_pid).map_err(WorkerError::ByHand)?;
    let reports = report_pipe().map_err(WorkerError::ByHand)?;
    // Before other threads start: threads inherit the pinning of their parent.
    pin_to_cpus(&arguments.cpus).map_err(|error| WorkerError::Pinning {
        cpus: arguments.cpus,
        error,
    })?;
    start_log();
    let mut builder = match R::BLOCKS_IN_PLACE {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(WorkerError::Runtime)?;
    runtime.block_on(session::run::<R>(io::stdin(), reports))?;
    // Returning would wait for the engine's threads.
    std::process::exit(0)
}

/// Returns the description of an engine of this build, which its program prints for `--describe`.
pub fn describe(name: &str, engine_version: &str, features: &[&str]) -> OfferedEngine {
    OfferedEngine {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine_version: engine_version.to_owned(),
        features: features.iter().map(|&feature| feature.to_owned()).collect(),
        compiled_cpu_features: cpu::compiled_features(),
        protocol_version: protocol::VERSION,
        compute_capability: None,
    }
}

/// Starts the log of a worker: plain lines on standard error, to which the server adds the time.
fn start_log() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("warn,joulemark=info,mistralrs=info,mistralrs_core=info"))
        .with_writer(io::stderr)
        .without_time()
        .with_ansi(false)
        .init();
}
