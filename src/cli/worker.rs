//! `joulemark worker`: one rank of an experiment on an engine that this program contains.

use clap::{Args, ValueEnum};

use crate::served::Served;
use crate::synthetic::SyntheticEngine;
use joulemark_worker::{RankArguments, run_rank, run_rank_with};

/// Engines that this program contains; every other engine is a separate program.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum EngineName {
    Synthetic,
    Openai,
}

#[derive(Debug, Args)]
pub struct WorkerArguments {
    #[arg(long)]
    engine: EngineName,
    #[command(flatten)]
    rank: RankArguments,
}

pub fn run(arguments: WorkerArguments) -> anyhow::Result<()> {
    let never = match arguments.engine {
        EngineName::Synthetic => run_rank::<SyntheticEngine>(arguments.rank)?,
        EngineName::Openai => run_rank_with::<Served>(arguments.rank)?,
    };
    match never {}
}
