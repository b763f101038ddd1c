use thiserror::Error;

use super::describe::NoDescription;
use joulemark_measurement::{ComputeCapability, quoted};

/// Why an engine cannot be started; each says what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineProblem {
    #[error(
        "the engine {} is not here: there is no program joulemark-{name} in {looked}. Build it with `cargo build \
         --release`, or name its folder by engine_dir", quoted(.name)
    )]
    Missing { name: String, looked: String },
    #[error("{} does not work: {program} --describe {reason}", engine(.name, *.built_for))]
    Silent {
        name: String,
        /// The compute capability that the program's name has; `None` of the program for the CPU.
        built_for: Option<ComputeCapability>,
        program: String,
        reason: NoDescription,
    },
    #[error(
        "{} ({program}) speaks version {theirs} of the worker protocol, this service version {ours}: \
         one of the two was upgraded alone. Install both, then restart the service", engine(.name, *.built_for)
    )]
    OtherProtocol {
        name: String,
        built_for: Option<ComputeCapability>,
        program: String,
        theirs: u32,
        ours: u32,
    },
    /// No program computes on a board; `why` begins with the board.
    #[error("no GPU can be used: a board {why}")]
    NoneFits { why: String },
    #[error(
        "the engine {} has no program that computes on compute capabilities {boards} at once: name GPUs of one kind by \
         `gpus`", quoted(.name)
    )]
    NoneFitsAll { name: String, boards: String },
}

impl EngineProblem {
    /// Returns the same for a client, whom the server's programs and folders do not concern.
    pub fn for_clients(&self) -> String {
        match self {
            Self::Missing { name, .. } => format!(
                "the engine {} is not installed on this server: its admin builds it with `cargo build --release`, and \
                 `joulemark doctor` says there where it was looked for",
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
                    // What it printed may name files.
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
                "{} speaks version {theirs} of the worker protocol, this service version {ours}: its admin installs both \
                 again, then must restart the service",
                engine(name, *built_for)
            ),
            Self::NoneFits { .. } | Self::NoneFitsAll { .. } => self.to_string(),
        }
    }

    /// Tells whether it is of a program that by its name computes on all of these boards.
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
