//! The server that runs an experiment: started for it, or attached to where it runs already.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use joulemark_experiment::{Device, Spec, Warning, WarningCode};
use joulemark_keeper::KeepOrder;
use joulemark_measurement::quoted;
use joulemark_openai::{Client, Endpoint, Secret, served_models};
use joulemark_process_discovery::{FindBy, find};
use joulemark_store::Record;
use joulemark_worker::protocol::ServerJob;

use super::failure::Stop;
use super::kept_engine::{KeptEngine, grace_ms};
use super::rank::Tag;
use crate::config::EngineSettings;
use crate::engines::environment;
use crate::scheduler::context::Context;
use crate::scheduler::models::{EngineChoice, LocatedModel};
use crate::scheduler::queue::device_locks::Locks;

/// What stands for `{context}` where neither an argument nor the model's files say it.
const DEFAULT_CONTEXT_TOKENS: u64 = 4096;

/// A server with what is known of its processes.
pub struct EngineServer {
    /// For the worker that sends the requests.
    pub job: ServerJob,
    /// Its processes, each with all that it started; none where they cannot be told.
    pub pids: Vec<u32>,
    /// Why its processes cannot be told.
    why_no_pids: Option<String>,
    kept: Option<KeptEngine>,
}

impl EngineServer {
    /// Starts the server of an experiment, or finds the one that runs; `None` for an engine that is none.
    ///
    /// # Errors
    /// [`Stop::Server`] where it cannot be started, or its key not be read.
    pub async fn start(
        context: &Context,
        record: &Record,
        model: &LocatedModel,
        locks: &Locks,
    ) -> Result<Option<Self>, Stop> {
        if model.engine != EngineChoice::Served {
            return Ok(None);
        }
        let spec = &record.spec;
        let settings = context.servers.get(&spec.engine);
        let settings = settings
            .ok_or_else(|| Stop::Server(format!("the engine {} is no longer in the configuration", spec.engine)))?;
        let api_key = read_key(&settings.api_key_file)?;
        let job = |endpoint: String, served: Option<&str>| ServerJob {
            endpoint,
            model: served.map(str::to_owned),
            api_key: api_key.clone(),
            health: Some(settings.health.clone()).filter(|path| !path.is_empty()),
            ready_within_ms: u64::from(settings.ready_sec) * 1000,
            max_sequence_tokens: max_sequence_tokens(spec, model),
        };
        if !settings.is_managed() {
            let (pids, why_no_pids) = processes(settings).await;
            return Ok(Some(Self {
                job: job(settings.endpoint.clone(), Some(&spec.model_name)),
                pids,
                why_no_pids,
                kept: None,
            }));
        }
        let failed =
            |error: std::io::Error| Stop::Server(format!("the engine {} does not start: {error}", spec.engine));
        let port = free_port().map_err(failed)?;
        let order = KeepOrder {
            command: settings.filled_command(&own_values(context, spec, model, port), &spec.engine_arguments),
            environment: environment_of(settings, spec),
            cpus: context.cpus.to_vec(),
            record_dir: context.engine_records.clone(),
            grace_ms: grace_ms(),
            cgroup_parent: joulemark_keeper::own_cgroup(),
        };
        let tag = Tag::from_record(record, 0, context.log_worker_output);
        let kept = KeptEngine::start(context, order, tag, locks).await.map_err(failed)?;
        let served = Some(settings.model_name.as_str()).filter(|name| !name.is_empty());
        Ok(Some(Self {
            job: job(format!("http://{}:{port}", Ipv4Addr::LOCALHOST), served),
            pids: vec![kept.pid],
            why_no_pids: None,
            kept: Some(kept),
        }))
    }

    /// Waits until a server that was started for the experiment is gone. One that is attached to never is: its requests fail.
    pub async fn gone(&mut self) -> Stop {
        match &mut self.kept {
            Some(kept) => Stop::EngineGone {
                why: kept.gone().await,
                tail: kept.tail.clone(),
            },
            None => std::future::pending().await,
        }
    }

    /// Warns where the server's processes cannot be told.
    pub fn warning(&self) -> Option<Warning> {
        let why = self.why_no_pids.as_ref()?;
        Some(Warning {
            code: WarningCode::EngineNotFound,
            message: format!("no energy of the host is attributed to the engine: {why}"),
        })
    }

    /// Ends a server that was started for the experiment, and leaves any other as it is.
    pub async fn end(self) {
        if let Some(kept) = self.kept {
            kept.end().await;
        }
    }
}

/// How long a server may take to list its models while a submission waits.
const LIST_PATIENCE: Duration = Duration::from_secs(2);

/// Says which models a server has that runs already, where it says so and `name` is none of them. One that does not answer
/// may do so when the experiment runs.
pub async fn refused_model(settings: &EngineSettings, name: &str) -> Option<String> {
    let endpoint = settings.endpoint.parse().ok()?;
    let key = read_key(&settings.api_key_file).ok()?;
    let client = Client::new(endpoint, key.as_deref().and_then(Secret::bearer));
    let served = served_models(&client, LIST_PATIENCE).await.ok()?;
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

/// Finds the processes of a server that runs already; none, and why, where they cannot be told.
async fn processes(settings: &EngineSettings) -> (Vec<u32>, Option<String>) {
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
    let found = tokio::task::spawn_blocking(move || find(&by)).await;
    match found {
        Ok(Ok(served)) => (served.pids, None),
        Ok(Err(why)) => (Vec::new(), Some(why.to_string())),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

/// A port of the loopback address that nobody has just now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn read_key(file: &Path) -> Result<Option<String>, Stop> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let unreadable = |error: String| Stop::Server(format!("the engine's api_key_file cannot be read: {error}"));
    let (_, bytes) = joulemark_files::read_given(file).map_err(|error| unreadable(error.to_string()))?;
    let key = String::from_utf8(bytes).map_err(|_| unreadable("it is no text".to_owned()))?;
    match key.trim() {
        "" => Err(unreadable("it is empty".to_owned())),
        key => Ok(Some(key.to_owned())),
    }
}

/// What the service fills into a command itself.
fn own_values(context: &Context, spec: &Spec, model: &LocatedModel, port: u16) -> BTreeMap<&'static str, String> {
    let of_files = model.files.as_ref().and_then(|files| files.max_context_tokens);
    BTreeMap::from([
        ("model_path", model.path.display().to_string()),
        ("port", port.to_string()),
        ("context", of_files.unwrap_or(DEFAULT_CONTEXT_TOKENS).to_string()),
        ("gpus", spec.gpus.len().to_string()),
        ("threads", context.cpus.len().to_string()),
    ])
}

/// What the configuration or the model's files say of the longest sequence, in tokens.
fn max_sequence_tokens(spec: &Spec, model: &LocatedModel) -> Option<u32> {
    let argument = spec
        .engine_arguments
        .get("context")
        .and_then(|value| value.to_string().parse().ok());
    let of_files = model.files.as_ref().and_then(|files| files.max_context_tokens);
    argument.or_else(|| u32::try_from(of_files?).ok())
}

/// All of an engine's environment: what it needs to be found and to find the leased GPUs, and what the configuration lists.
fn environment_of(settings: &EngineSettings, spec: &Spec) -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let usual = environment::for_servers().into_iter().filter_map(text);
    let listed = settings.environment.iter();
    let listed = listed.filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let gpus = match spec.device {
        Device::Cuda => spec.gpus.join(","),
        Device::Cpu | Device::Auto => String::new(),
    };
    // UUIDs: CUDA counts devices by speed, NVML by PCI slot. Empty hides every GPU.
    let leased = ("CUDA_VISIBLE_DEVICES".to_owned(), gpus);
    let all: BTreeMap<_, _> = usual.chain(listed).chain([leased]).collect();
    all.into_iter().collect()
}
