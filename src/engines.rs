//! Finds engine programs such as `joulemark-mistral`, which run the ranks of an experiment. Owns where they are
//! searched for and the descriptions that they give of themselves. Leaves starting them for a run to `scheduler`.

pub mod attached;
mod describe;
pub mod environment;
mod identity;
mod problem;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joulemark_experiment::{DEFAULT_ENGINE, OfferedEngine, refused_board};
use joulemark_measurement::ComputeCapability;
use joulemark_measurement::clock::Monotonic;
use joulemark_worker::protocol;

use describe::NoDescription;
use identity::Identity;
pub use problem::EngineProblem;

/// Engine of an experiment that names none.
pub const MISTRAL: &str = DEFAULT_ENGINE;

/// Time in seconds after which a program that failed to describe itself is asked again.
const ASK_AGAIN_SEC: f64 = 30.0;

/// Engines that a server searches for.
const KNOWN: [&str; 1] = [MISTRAL];

/// An engine that can be started, with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEngine {
    pub program: PathBuf,
    pub offer: OfferedEngine,
}

/// The engines that can be started on this host, and the problems of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Descriptions, one for each program.
    pub offered: Vec<OfferedEngine>,
    pub problems: Vec<EngineProblem>,
}

/// Finder of the engines of this host. Clones share a cache of descriptions.
#[derive(Clone, Debug)]
pub struct Engines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folders: Vec<PathBuf>,
    timeout: Duration,
    /// Answers of the programs; an answer is valid while the file stays the same.
    described: Mutex<HashMap<PathBuf, Described>>,
}

#[derive(Clone, Debug)]
struct Described {
    identity: Identity,
    at: Monotonic,
    said: Result<OfferedEngine, NoDescription>,
}

impl Described {
    /// Returns whether the answer is still valid. A failure may be due to a busy host, so it expires soon.
    fn holds(&self, identity: Identity) -> bool {
        let is_fresh = self.said.is_ok() || Monotonic::now().sec_since(self.at) < ASK_AGAIN_SEC;
        self.identity == identity && is_fresh
    }
}

impl Engines {
    /// Creates a finder that searches `engine_dir` if given, then the folder of this program, then
    /// `../libexec/joulemark` relative to it.
    ///
    /// # Errors
    /// Returns the operating system's error when the path of this program cannot be determined.
    pub fn beside_this_program(engine_dir: Option<&Path>) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
        let libexec = beside.parent().map(|above| above.join("libexec/joulemark"));
        let given = engine_dir.map(Path::to_owned);
        Ok(Self::in_folders(
            given.into_iter().chain([beside]).chain(libexec).collect(),
        ))
    }

    /// Creates a finder that searches only these folders.
    pub fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            folders,
            timeout: describe::TIMEOUT,
            described: Mutex::default(),
        }))
    }

    /// Finds the engine's program for the CPU with its description. Blocks while a program that is new or has changed
    /// describes itself.
    ///
    /// # Errors
    /// Returns an [`EngineProblem`].
    pub fn find(&self, name: &str) -> Result<FoundEngine, EngineProblem> {
        let located = self.0.folders.iter().find_map(|folder| {
            let program = folder.join(format!("joulemark-{name}"));
            Identity::of_program(&program).map(|identity| (program, identity))
        });
        match located {
            Some((program, identity)) => self.examined(name, None, program, identity),
            None => {
                let shown = self.0.folders.iter().map(|folder| folder.display().to_string());
                Err(EngineProblem::Missing {
                    name: name.to_owned(),
                    looked: shown.collect::<Vec<_>>().join(", "),
                })
            }
        }
    }

    /// Finds the program that computes on all of these boards; among several, the one built for the latest compute
    /// capability. Blocks as [`Engines::find`] does.
    ///
    /// # Errors
    /// Returns an [`EngineProblem`]; when a program is for these boards by its name but does not work, its problem.
    pub fn find_for_gpus(
        &self,
        name: &str,
        boards: &[Option<ComputeCapability>],
    ) -> Result<FoundEngine, EngineProblem> {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for program in self.find_each(name) {
            match program {
                Ok(program) => found.push(program),
                Err(problem) => problems.push(problem),
            }
        }
        let fits = |program: &&FoundEngine| boards.iter().all(|board| program.offer.computes_on(*board));
        if let Some(best) = found
            .iter()
            .filter(fits)
            .max_by_key(|program| program.offer.compute_capability)
        {
            return Ok(best.clone());
        }
        if let Some(broken) = problems.into_iter().find(|problem| problem.is_of_a_program_for(boards)) {
            return Err(broken);
        }
        let offered = found.into_iter().map(|program| program.offer).collect::<Vec<_>>();
        let refused = boards.iter().find_map(|board| refused_board(&offered, &[], *board));
        Err(match refused {
            Some(why) => EngineProblem::NoneFits { why },
            None => EngineProblem::NoneFitsAll {
                name: name.to_owned(),
                boards: boards
                    .iter()
                    .flatten()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            },
        })
    }

    /// Finds all programs of an engine: the one for the CPU, then those for GPUs.
    fn find_each(&self, name: &str) -> Vec<Result<FoundEngine, EngineProblem>> {
        let for_gpus = self.programs_for_gpus(name).into_iter();
        let for_gpus =
            for_gpus.map(|(built_for, (program, identity))| self.examined(name, Some(built_for), program, identity));
        [self.find(name)].into_iter().chain(for_gpus).collect()
    }

    /// Finds all programs of all known engines. Blocks as [`Engines::find`] does.
    pub fn find_all(&self) -> Vec<Result<FoundEngine, EngineProblem>> {
        KNOWN.iter().flat_map(|name| self.find_each(name)).collect()
    }

    /// Lists the engines that can be started and the problems of others, for clients and other nodes. An engine without
    /// a program for the CPU is not offered. Blocks as [`Engines::find`] does.
    pub fn look(&self) -> Look {
        let mut look = Look::default();
        for name in KNOWN {
            let (mut offered, mut has_cpu) = (Vec::new(), false);
            for (position, program) in self.find_each(name).into_iter().enumerate() {
                has_cpu |= position == 0 && program.is_ok();
                match program {
                    Ok(program) => offered.push(program.offer),
                    Err(problem) => look.problems.push(problem),
                }
            }
            if has_cpu {
                look.offered.append(&mut offered);
            }
        }
        look
    }

    /// Lists the files named `joulemark-NAME-sm90` and the like by compute capability. For equal names, the first
    /// folder wins.
    fn programs_for_gpus(&self, name: &str) -> BTreeMap<ComputeCapability, (PathBuf, Identity)> {
        let prefix = format!("joulemark-{name}-sm");
        let mut programs = BTreeMap::new();
        for folder in &self.0.folders {
            for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let file_name = file.file_name();
                let number = file_name.to_str().and_then(|file_name| file_name.strip_prefix(&prefix));
                let built_for = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
                let Some(built_for) = built_for.and_then(|number| number.parse::<ComputeCapability>().ok()) else {
                    continue;
                };
                let program = file.path();
                if let Some(identity) = Identity::of_program(&program) {
                    programs.entry(built_for).or_insert((program, identity));
                }
            }
        }
        programs
    }

    fn examined(
        &self,
        name: &str,
        built_for: Option<ComputeCapability>,
        program: PathBuf,
        identity: Identity,
    ) -> Result<FoundEngine, EngineProblem> {
        let shown = program.display().to_string();
        let said = self.described(&program, identity);
        let offer = said.and_then(|offer| describe::checked_against_name(offer, name, built_for));
        let offer = offer.map_err(|reason| EngineProblem::Silent {
            name: name.to_owned(),
            built_for,
            program: shown.clone(),
            reason,
        })?;
        if offer.protocol_version != protocol::VERSION {
            return Err(EngineProblem::OtherProtocol {
                name: name.to_owned(),
                built_for,
                program: shown,
                theirs: offer.protocol_version,
                ours: protocol::VERSION,
            });
        }
        Ok(FoundEngine { program, offer })
    }

    fn described(&self, program: &Path, identity: Identity) -> Result<OfferedEngine, NoDescription> {
        let described = || self.0.described.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = described().get(program)
            && known.holds(identity)
        {
            return known.said.clone();
        }
        let said = describe::ask(program, self.0.timeout);
        let at = Monotonic::now();
        let answer = Described {
            identity,
            at,
            said: said.clone(),
        };
        described().insert(program.to_owned(), answer);
        said
    }
}

#[cfg(test)]
mod tests;
