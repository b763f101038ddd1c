use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::logging;
use crate::inference::{MistralEngine, SyntheticEngine};
use crate::worker::{self, bind_to_parent, pin_to_cpus, report_pipe};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EngineName {
    Mistral,
    Synthetic,
}

#[derive(Debug, Args)]
pub struct WorkerArguments {
    #[arg(long)]
    engine: EngineName,
    /// The server's pid: the worker ends with it.
    #[arg(long)]
    parent_pid: u32,
    /// Logical CPUs to run on.
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<u32>,
}

pub fn run(arguments: WorkerArguments) -> anyhow::Result<()> {
    bind_to_parent(arguments.parent_pid)?;
    let reports = report_pipe().context("a worker is started by the service, not by hand")?;
    // Before any other thread is there: threads inherit the pinning of the one that starts them.
    pin_to_cpus(&arguments.cpus).with_context(|| format!("cannot run on CPUs {:?}", arguments.cpus))?;
    logging::start_worker();
    // mistral.rs needs a runtime of several threads: it blocks in place while it loads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let input = std::io::stdin();
    let outcome = match arguments.engine {
        EngineName::Mistral => runtime.block_on(worker::run::<MistralEngine>(input, reports)),
        EngineName::Synthetic => runtime.block_on(worker::run::<SyntheticEngine>(input, reports)),
    };
    // Not returned to: the engine's own threads would be waited for.
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("joulemark worker: {error}");
            std::process::exit(1)
        }
    }
}
