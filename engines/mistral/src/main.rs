//! The worker of mistral.rs: one process a rank, started by the service. `docs/worker-protocol.md` describes what it is
//! told and what it answers.

mod direct;
mod engine;
#[cfg(test)]
mod loaders_tests;
mod pipeline;
mod tap;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use joulemark_worker::{RankArguments, WorkerError, cpu, describe, run_rank};

use direct::DirectArguments;
use engine::MistralEngine;

/// Version of the mistralrs crate that is linked; a test holds it against `Cargo.lock`.
const MISTRALRS_VERSION: &str = "0.8.1";

/// What the kernels were compiled for, as the environment of a build for GPUs has it.
const COMPUTE_CAPABILITY: Option<&str> = option_env!("CUDA_COMPUTE_CAP");

/// Runs one rank of an experiment with mistral.rs; started by the joulemark service, not by hand.
#[derive(Debug, Parser)]
#[command(name = "joulemark-mistral", version, subcommand_negates_reqs = true)]
struct Arguments {
    /// Print what this engine is, as JSON, and do nothing else.
    #[arg(long, exclusive = true)]
    describe: bool,
    #[command(flatten)]
    rank: Option<RankArguments>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run waves of random prompts with mistral.rs alone, with and without the tap, and print their rates as JSON; what
    /// deploy/accept-gpu.sh holds the service's figures against.
    Direct(DirectArguments),
}

fn main() -> ExitCode {
    if !cpu::is_good_enough() {
        return ExitCode::FAILURE;
    }
    run()
}

/// Apart from the check and never inlined into it: this function's first instruction may be one that is missing.
#[inline(never)]
fn run() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Direct(direct)) = &arguments.command {
        return direct::run(direct);
    }
    let Some(rank) = arguments.rank.filter(|_| !arguments.describe) else {
        return print_description();
    };
    let error: WorkerError = match run_rank::<MistralEngine>(rank) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("joulemark-mistral: {error}");
    ExitCode::FAILURE
}

/// Answers without touching the GPU: it is asked while experiments run.
fn print_description() -> ExitCode {
    let mut description = describe("mistral", MISTRALRS_VERSION, &features());
    description.compute_capability = COMPUTE_CAPABILITY
        .filter(|_| cfg!(feature = "cuda"))
        .and_then(|built_for| built_for.parse().ok());
    match serde_json::to_string(&description) {
        Ok(text) => println!("{text}"),
        Err(error) => {
            eprintln!("joulemark-mistral: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn features() -> Vec<&'static str> {
    let known = [
        ("cuda", cfg!(feature = "cuda")),
        ("cudnn", cfg!(feature = "cudnn")),
        ("flash-attn", cfg!(feature = "flash-attn")),
    ];
    known.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_that_is_said_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"mistralrs\"\nversion = \"{MISTRALRS_VERSION}\"\n")));
    }
}
