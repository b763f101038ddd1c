//! Finds the engines: programs of their own, `joulemark-mistral` for instance, which run an experiment's ranks. Owns where
//! they are looked for and what they say of themselves; starts none of them for work.

pub mod attached;
mod describe;
pub mod environment;
mod identity;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joulemark_experiment::{DEFAULT_ENGINE, OfferedEngine};
use joulemark_measurement::clock::Monotonic;
use joulemark_worker::protocol;
use thiserror::Error;

use describe::NoDescription;
use identity::Identity;
use joulemark_measurement::quoted;

/// The engine of every experiment that names none.
pub const MISTRAL: &str = DEFAULT_ENGINE;

/// How soon a program that did not describe itself is asked again.
const ASK_AGAIN_SEC: f64 = 30.0;

/// Every engine that a server looks for.
const KNOWN: [&str; 1] = [MISTRAL];

/// An engine that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEngine {
    pub program: PathBuf,
    pub offer: OfferedEngine,
}

/// Why an engine cannot be started; each says what mends it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineProblem {
    #[error(
        "the engine {} is not here: there is no program joulemark-{name} in {looked}. Build it with `cargo build \
         --release`, or name its folder by engine_dir", quoted(.name)
    )]
    Missing { name: String, looked: String },
    #[error("the engine {} does not work: {program} --describe {reason}", quoted(.name))]
    Silent {
        name: String,
        program: String,
        reason: NoDescription,
    },
    #[error(
        "the engine {} ({program}) speaks version {theirs} of the worker protocol, this service version {ours}: \
         one of the two was upgraded alone. Install both, then restart the service", quoted(.name)
    )]
    OtherProtocol {
        name: String,
        program: String,
        theirs: u32,
        ours: u32,
    },
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
            Self::Silent { name, reason, .. } => match reason {
                // What it printed may name files.
                NoDescription::NotRead { .. } => {
                    format!("the engine {} does not work: it does not describe itself", quoted(name))
                }
                reason => format!("the engine {} does not work: it {reason}", quoted(name)),
            },
            Self::OtherProtocol { name, theirs, ours, .. } => format!(
                "the engine {} speaks version {theirs} of the worker protocol, this service version {ours}: its admin \
                 installs both again, then must restart the service",
                quoted(name)
            ),
        }
    }
}

/// The engines of this host. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Engines(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folders: Vec<PathBuf>,
    patience: Duration,
    /// What each program said of itself, for as long as it is the same file.
    described: Mutex<HashMap<PathBuf, Described>>,
}

#[derive(Clone, Debug)]
struct Described {
    identity: Identity,
    at: Monotonic,
    said: Result<OfferedEngine, NoDescription>,
}

impl Described {
    /// A failure may be a busy host's: it is asked again before long.
    fn holds(&self, identity: Identity) -> bool {
        let is_fresh = self.said.is_ok() || Monotonic::now().sec_since(self.at) < ASK_AGAIN_SEC;
        self.identity == identity && is_fresh
    }
}

impl Engines {
    /// Looks in `engine_dir` where it is given, then beside this program, then in `../libexec/joulemark` from there.
    ///
    /// # Errors
    /// The operating system's, when this program's own path cannot be found.
    pub fn beside_this_program(engine_dir: Option<&Path>) -> std::io::Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().unwrap_or(Path::new("/")).to_owned();
        let libexec = beside.parent().map(|above| above.join("libexec/joulemark"));
        let given = engine_dir.map(Path::to_owned);
        Ok(Self::in_folders(
            given.into_iter().chain([beside]).chain(libexec).collect(),
        ))
    }

    fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            folders,
            patience: describe::PATIENCE,
            described: Mutex::default(),
        }))
    }

    /// Finds the engine and what it is. Blocks while a program that was not asked yet, or has changed since, describes
    /// itself.
    ///
    /// # Errors
    /// [`EngineProblem`].
    pub fn find(&self, name: &str) -> Result<FoundEngine, EngineProblem> {
        let Some((program, identity)) = self.locate(name) else {
            let shown = self.0.folders.iter().map(|folder| folder.display().to_string());
            return Err(EngineProblem::Missing {
                name: name.to_owned(),
                looked: shown.collect::<Vec<_>>().join(", "),
            });
        };
        let shown = program.display().to_string();
        let said = self.described(&program, identity);
        let offer = said.and_then(|offer| describe::named(offer, name));
        let offer = offer.map_err(|reason| EngineProblem::Silent {
            name: name.to_owned(),
            program: shown.clone(),
            reason,
        })?;
        if offer.protocol_version != protocol::VERSION {
            return Err(EngineProblem::OtherProtocol {
                name: name.to_owned(),
                program: shown,
                theirs: offer.protocol_version,
                ours: protocol::VERSION,
            });
        }
        Ok(FoundEngine { program, offer })
    }

    /// Finds every known engine; blocks as [`Engines::find`] does.
    pub fn find_all(&self) -> Vec<Result<FoundEngine, EngineProblem>> {
        KNOWN.iter().map(|name| self.find(name)).collect()
    }

    /// Lists what can be started here, for other nodes to know; blocks as [`Engines::find`] does.
    pub fn offered(&self) -> Vec<OfferedEngine> {
        let usable = self.find_all().into_iter().filter_map(Result::ok);
        usable.map(|found| found.offer).collect()
    }

    fn locate(&self, name: &str) -> Option<(PathBuf, Identity)> {
        self.0.folders.iter().find_map(|folder| {
            let program = folder.join(format!("joulemark-{name}"));
            Identity::of_program(&program).map(|identity| (program, identity))
        })
    }

    fn described(&self, program: &Path, identity: Identity) -> Result<OfferedEngine, NoDescription> {
        let described = || self.0.described.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = described().get(program)
            && known.holds(identity)
        {
            return known.said.clone();
        }
        let said = describe::ask(program, self.0.patience);
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
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder with an engine that runs `script`.
    fn engine(folder: &Path, script: &str) -> Engines {
        let program = folder.join("joulemark-mistral");
        // Never written over: a program that runs cannot be, and a changed file is another one.
        let _ = std::fs::remove_file(&program);
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Engines::in_folders(vec![folder.to_owned()])
    }

    fn says(protocol_version: u32, features: &str) -> String {
        format!(
            r#"echo '{{"name": "mistral", "version": "0.1.0", "engine_version": "0.8.1", "features": [{features}],
            "compiled_cpu_features": ["avx2"], "protocol_version": {protocol_version}}}'; echo asked >>"$0.asked""#
        )
    }

    #[test]
    fn an_engine_is_asked_once_and_again_when_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let engines = engine(folder.path(), &says(protocol::VERSION, ""));
        for _ in 0..3 {
            assert_eq!(engines.find(MISTRAL).unwrap().offer.engine_version, "0.8.1");
        }
        let asked = || std::fs::read_to_string(folder.path().join("joulemark-mistral.asked")).unwrap();
        assert_eq!(asked().lines().count(), 1);
        engine(folder.path(), &says(protocol::VERSION, "\"cuda\""));
        assert_eq!(engines.find(MISTRAL).unwrap().offer.features, ["cuda"]);
        assert_eq!(asked().lines().count(), 2);
    }

    #[test]
    fn an_engine_of_another_protocol_is_not_offered_and_the_mend_is_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let engines = engine(folder.path(), &says(protocol::VERSION + 1, ""));
        let problem = engines.find(MISTRAL).unwrap_err().to_string();
        assert!(problem.contains("restart the service"), "{problem}");
        assert!(engines.offered().is_empty());
    }

    #[test]
    fn an_engine_that_is_not_there_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let engines = Engines::in_folders(vec![folder.path().to_owned()]);
        let problem = engines.find(MISTRAL).unwrap_err().to_string();
        assert!(problem.contains(&folder.path().display().to_string()), "{problem}");
        assert!(problem.contains("cargo build --release"), "{problem}");
    }

    #[test]
    fn a_client_is_told_of_no_folder_and_no_program_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Engines::in_folders(vec![folder.path().to_owned()]);
        let silent = [
            missing,
            engine(folder.path(), "echo cannot open /srv/secret/lib.so"),
            engine(folder.path(), &says(protocol::VERSION + 1, "")),
        ]
        .map(|engines| engines.find(MISTRAL));
        for problem in silent {
            let said = problem.unwrap_err().for_clients();
            let name = folder.path().file_name().unwrap().to_str().unwrap();
            for inner in [name, "/srv", "joulemark-mistral", "--describe"] {
                assert!(!said.contains(inner), "{inner}: {said}");
            }
            assert!(said.starts_with("the engine \"mistral\" "), "{said}");
        }
    }

    #[test]
    fn an_engine_that_hangs_fails_or_talks_nonsense_is_not_offered() {
        let folder = tempfile::tempdir().unwrap();
        for (script, reason) in [
            ("sleep 60", "did not answer within"),
            ("exit 3", "exit status: 3"),
            ("echo hello", "answered with"),
            ("sleep 60 & exec >/dev/null; wait", "did not answer within"),
            (
                r#"echo '{"name": "other", "version": "1", "engine_version": "1", "features": [],
              "compiled_cpu_features": [], "protocol_version": 1}'"#,
                "says that it is",
            ),
        ] {
            let mut engines = engine(folder.path(), script);
            Arc::get_mut(&mut engines.0).unwrap().patience = Duration::from_millis(500);
            let problem = engines.find(MISTRAL).unwrap_err().to_string();
            assert!(problem.contains(reason), "{script}: {problem}");
        }
    }
}
