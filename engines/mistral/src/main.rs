//! The worker of mistral.rs: one process for each rank, started by the service. `docs/worker-protocol.md` describes its
//! orders and reports.

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

/// Version of the linked mistralrs crate; a test compares it with `Cargo.lock`.
const MISTRALRS_VERSION: &str = "0.8.1";

/// Compute capability that the kernels were compiled for, from the environment of a GPU build.
const COMPUTE_CAPABILITY: Option<&str> = option_env!("CUDA_COMPUTE_CAP");

/// Run one rank of an experiment with mistral.rs. It is started by the joulemark service, not by hand.
#[derive(Debug, Parser)]
#[command(name = "joulemark-mistral", version, subcommand_negates_reqs = true)]
struct Arguments {
    /// Print a description of this engine as JSON and exit.
    #[arg(long, exclusive = true)]
    describe: bool,
    #[command(flatten)]
    rank: Option<RankArguments>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run waves of random prompts with mistral.rs alone, with and without the tap, and print their rates as JSON.
    /// deploy/accept-gpu.sh compares the service's figures with them.
    Direct(DirectArguments),
}

fn main() -> ExitCode {
    if !cpu::is_good_enough() {
        return ExitCode::FAILURE;
    }
    run()
}

/// Runs the program. Never inlined into the check, because even its first instruction may be one that the CPU lacks.
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

/// Prints the description without touching the GPU, because experiments may be running.
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
    fn the_stated_version_is_the_linked_one() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"mistralrs\"\nversion = \"{MISTRALRS_VERSION}\"\n")));
    }
}
