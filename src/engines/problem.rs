//! Errors about engines, each worded for the admin and for clients.

use thiserror::Error;

use super::describe::NoDescription;
use joulemark_measurement::{ComputeCapability, quoted};

/// Reason why an engine cannot be started, with a way to solve it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineProblem {
    #[error(
        "the engine {} is missing: there is no program joulemark-{name} in {looked}. Build it with `cargo build \
         --release`, or set engine_dir to its folder", quoted(.name)
    )]
    Missing { name: String, looked: String },
    #[error("{} does not work: {program} --describe {reason}", engine(.name, *.built_for))]
    Silent {
        name: String,
        /// Compute capability in the program's name; `None` for the CPU program.
        built_for: Option<ComputeCapability>,
        program: String,
        reason: NoDescription,
    },
    #[error(
        "{} ({program}) uses version {theirs} of the worker protocol, but this service uses version {ours}: \
         only one of the two was upgraded. Install both, then restart the service", engine(.name, *.built_for)
    )]
    OtherProtocol {
        name: String,
        built_for: Option<ComputeCapability>,
        program: String,
        theirs: u32,
        ours: u32,
    },
    /// No program computes on a board; `why` continues the sentence after "a board".
    #[error("no GPU can be used: a board {why}")]
    NoneFits { why: String },
    #[error(
        "no program of the engine {} computes on compute capabilities {boards} at once: name GPUs of one kind in \
         `gpus`", quoted(.name)
    )]
    NoneFitsAll { name: String, boards: String },
}

impl EngineProblem {
    /// Returns the message for a client, without programs and folders of the server.
    pub fn for_clients(&self) -> String {
        match self {
            Self::Missing { name, .. } => format!(
                "the engine {} is not installed on this server: its admin can build it with `cargo build --release`, \
                 and `joulemark doctor` lists the folders that were searched",
                quoted(name)
            ),
            Self::Silent {
                name,
                built_for,
                reason,
                ..
            } => {
                let engine = engine(name, *built_for);
                match reason {
                    // Its output may contain file names.
                    NoDescription::NotRead { .. } => format!("{engine} does not work: it does not describe itself"),
                    NoDescription::Failed { status, .. } => format!("{engine} does not work: it ended with {status}"),
                    reason => format!("{engine} does not work: it {reason}"),
                }
            }
            Self::OtherProtocol {
                name,
                built_for,
                theirs,
                ours,
                ..
            } => format!(
                "{} uses version {theirs} of the worker protocol, but this service uses version {ours}: its admin must \
                 install both again and restart the service",
                engine(name, *built_for)
            ),
            Self::NoneFits { .. } | Self::NoneFitsAll { .. } => self.to_string(),
        }
    }

    /// Returns whether the problem concerns a program that, by its name, computes on all of these boards.
    pub fn is_of_a_program_for(&self, boards: &[Option<ComputeCapability>]) -> bool {
        match self {
            Self::Silent { built_for, .. } | Self::OtherProtocol { built_for, .. } => {
                built_for.is_some_and(|built_for| {
                    let fits = |board: &Option<ComputeCapability>| board.is_none_or(|board| built_for.runs_on(board));
                    boards.iter().all(fits)
                })
            }
            _ => false,
        }
    }
}

fn engine(name: &str, built_for: Option<ComputeCapability>) -> String {
    let of = built_for.map(|capability| format!(" for compute capability {capability}"));
    format!("the engine {}{}", quoted(name), of.unwrap_or_default())
}
