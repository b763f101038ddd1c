//! Checks the inference servers of the configuration: whether each can be started or answers, and where its processes
//! are.

use std::path::{Path, PathBuf};

use joulemark_process_discovery::find;
use nix::unistd::{AccessFlags, access};
use serde::Serialize;

use crate::config::{ConfiguredEngines, EngineSettings};
use crate::engines::attached;

/// Finding on one engine of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerFinding {
    pub name: String,
    /// Whether the service starts it for each experiment; otherwise it runs already.
    pub managed: bool,
    pub works: bool,
    pub detail: String,
}

impl ServerFinding {
    /// Returns the finding as a line of text.
    pub fn text(&self) -> String {
        let mark = if self.works { "works" } else { "  --" };
        format!("{mark:5}  {}: {}", self.name, self.detail)
    }
}

/// Checks each engine: looks for the program of a managed one, and sends a request to one that runs already.
///
/// # Errors
/// Returns the operating system's error when no async runtime can be started.
pub fn examine(engines: &ConfiguredEngines) -> std::io::Result<Vec<ServerFinding>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let finding = |(name, settings): (&String, &EngineSettings)| {
        let found = match settings.is_managed() {
            true => startable(&settings.command[0]),
            false => runtime.block_on(answering(settings)),
        };
        ServerFinding {
            name: name.clone(),
            managed: settings.is_managed(),
            works: found.is_ok(),
            detail: found.unwrap_or_else(|why| why),
        }
    };
    Ok(engines.iter().map(finding).collect())
}

fn startable(program: &str) -> Result<String, String> {
    let found = resolve(program).ok_or_else(|| {
        format!("there is no executable {program}; set `command` of the engine to a path or to a program in PATH")
    })?;
    Ok(format!("starts {} for each experiment", found.display()))
}

/// Returns the path of the program that would be started, searching PATH for a bare name.
fn resolve(program: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_program(path));
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
}

async fn answering(settings: &EngineSettings) -> Result<String, String> {
    let endpoint = &settings.endpoint;
    let models = attached::models(settings)
        .await
        .map_err(|why| format!("{endpoint} does not list its models: {why}"))?;
    let models = models.join(", ");
    match find(&attached::ways_to_find(settings)) {
        Ok(served) => Ok(format!(
            "{endpoint} serves {models}; its processes are those of {}",
            served.found_by
        )),
        Err(why) => Err(format!(
            "{endpoint} serves {models}, and no energy of the host can be attributed to it: {why}"
        )),
    }
}
