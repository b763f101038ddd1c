//! What is asked of a server that runs already, outside of an experiment: which models it has and where its processes are.

use std::path::Path;
use std::time::Duration;

use joulemark_measurement::quoted;
use joulemark_openai::{Client, Endpoint, Secret, served_models};
use joulemark_process_discovery::FindBy;

use crate::config::EngineSettings;

/// How long a server may take to list its models while somebody waits.
const LIST_PATIENCE: Duration = Duration::from_secs(2);

/// Reads the key of a server; `None` where the configuration names no file. Blocks on the file.
///
/// # Errors
/// Why there is none in the file, in words.
pub fn read_key(file: &Path) -> Result<Option<String>, String> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let unreadable = |why: &str| format!("the engine's api_key_file cannot be read: {why}");
    let (_, bytes) = joulemark_files::read_given(file).map_err(|error| unreadable(&error.to_string()))?;
    let key = String::from_utf8(bytes).map_err(|_| unreadable("it is no text"))?;
    match key.trim() {
        "" => Err(unreadable("it is empty")),
        key => Ok(Some(key.to_owned())),
    }
}

/// Lists the models that a server has.
///
/// # Errors
/// Why it does not say, in words.
pub async fn models(settings: &EngineSettings) -> Result<Vec<String>, String> {
    let endpoint = settings.endpoint.parse::<Endpoint>();
    let endpoint = endpoint.map_err(|error| format!("the endpoint {error}"))?;
    let file = settings.api_key_file.clone();
    let key = tokio::task::spawn_blocking(move || read_key(&file)).await;
    let key = key.map_err(|error| error.to_string())??;
    let client = Client::new(endpoint, key.as_deref().and_then(Secret::bearer));
    let served = served_models(&client, LIST_PATIENCE).await;
    served.map_err(|failure| failure.to_string())
}

/// Says which models a server has, where it says so and `name` is none of them. One that does not answer may do so when the
/// experiment runs.
pub async fn refused_model(settings: &EngineSettings, name: &str) -> Option<String> {
    let served = models(settings).await.ok()?;
    if served.iter().any(|served| served == name) {
        return None;
    }
    let there = match served.is_empty() {
        true => "none".to_owned(),
        false => served.join(", "),
    };
    Some(format!(
        "is {}, which the engine does not serve; it serves {there}",
        quoted(name)
    ))
}

/// Returns the ways in which the configuration has its processes found.
pub fn ways_to_find(settings: &EngineSettings) -> Vec<FindBy> {
    let mut by = Vec::new();
    if !settings.systemd_unit.is_empty() {
        by.push(FindBy::Unit(settings.systemd_unit.clone()));
    }
    if !settings.pid_file.as_os_str().is_empty() {
        by.push(FindBy::PidFile(settings.pid_file.clone()));
    }
    if let Ok(endpoint) = settings.endpoint.parse::<Endpoint>() {
        by.push(FindBy::Port {
            host: endpoint.host().to_owned(),
            port: endpoint.port(),
        });
    }
    by
}
