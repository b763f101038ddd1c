//! Asks a server that is already running, outside of an experiment: which models it serves, and how its processes are
//! found.

use std::path::Path;
use std::time::Duration;

use joulemark_measurement::quoted;
use joulemark_openai::{Client, Endpoint, Secret, served_models};
use joulemark_process_discovery::FindBy;

use crate::config::EngineSettings;

/// Timeout of listing the models, while a client waits.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads the API key of a server from its file; returns `None` when the configuration names no file. Blocks on the
/// file.
///
/// # Errors
/// Returns a message when the file cannot be read, is empty or is not text.
pub fn read_key(file: &Path) -> Result<Option<String>, String> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let unreadable = |why: &str| format!("the engine's api_key_file cannot be read: {why}");
    let (_, bytes) = joulemark_files::read_given(file).map_err(|error| unreadable(&error.to_string()))?;
    let key = String::from_utf8(bytes).map_err(|_| unreadable("it is not text"))?;
    match key.trim() {
        "" => Err(unreadable("it is empty")),
        key => Ok(Some(key.to_owned())),
    }
}

/// Lists the models that a server serves.
///
/// # Errors
/// Returns a message when the server does not list them.
pub async fn models(settings: &EngineSettings) -> Result<Vec<String>, String> {
    let endpoint = settings.endpoint.parse::<Endpoint>();
    let endpoint = endpoint.map_err(|error| format!("the endpoint {error}"))?;
    let file = settings.api_key_file.clone();
    let key = tokio::task::spawn_blocking(move || read_key(&file)).await;
    let key = key.map_err(|error| error.to_string())??;
    let client = Client::new(endpoint, key.as_deref().and_then(Secret::bearer));
    let served = served_models(&client, LIST_TIMEOUT).await;
    served.map_err(|failure| failure.to_string())
}

/// Returns a message with the served models when `name` is not among them; otherwise `None`. Also returns `None` when
/// the server does not answer, since it may do so when the experiment runs.
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

/// Returns the ways to find the processes of a server, in order of preference: systemd unit, pid file, port.
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
