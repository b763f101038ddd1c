//! The server that runs an experiment: started for it, or already running and attached to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use joulemark_experiment::{Device, Spec};
use joulemark_keeper::KeepOrder;
use joulemark_store::Record;
use joulemark_worker::protocol::ServerJob;

use super::failure::Stop;
use super::kept_engine::{KeptEngine, grace_ms};
use super::rank::Tag;
use super::server_processes::Processes;
use crate::config::EngineSettings;
use crate::engines::attached::read_key;
use crate::engines::environment;
use crate::scheduler::context::Context;
use crate::scheduler::models::{EngineChoice, LocatedModel};
use crate::scheduler::queue::device_locks::Locks;

/// Value of `{context}` when neither an argument nor the model's files give one.
const DEFAULT_CONTEXT_TOKENS: u64 = 4096;

/// A server, with its processes as far as they are known.
pub struct EngineServer {
    /// Connection data for the worker that sends the requests.
    pub job: ServerJob,
    pub processes: Arc<Processes>,
    kept: Option<KeptEngine>,
}

impl EngineServer {
    /// Starts the server of an experiment, or attaches to the one that is running; returns `None` when the engine is
    /// not a server.
    ///
    /// # Errors
    /// Returns [`Stop::Server`] when the server cannot be started or its API key cannot be read.
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
        let key_file = settings.api_key_file.clone();
        let api_key = tokio::task::spawn_blocking(move || read_key(&key_file)).await;
        let api_key = api_key
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(Stop::Server)?;
        let job = |endpoint: String, served: Option<&str>| ServerJob {
            endpoint,
            model: served.map(str::to_owned),
            api_key: api_key.clone(),
            health: Some(settings.health.clone()).filter(|path| !path.is_empty()),
            ready_within_ms: u64::from(settings.ready_sec) * 1000,
            max_sequence_tokens: max_sequence_tokens(spec, model),
        };
        if !settings.is_managed() {
            return Ok(Some(Self {
                job: job(settings.endpoint.clone(), Some(&spec.model_name)),
                processes: Arc::new(Processes::find(settings).await),
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
            processes: Arc::new(Processes::Started(kept.pid)),
            kept: Some(kept),
        }))
    }

    /// Waits until a server that was started for the experiment has ended. Never returns for an attached server, whose
    /// requests fail instead.
    pub async fn gone(&mut self) -> Stop {
        match &mut self.kept {
            Some(kept) => Stop::EngineGone {
                why: kept.gone().await,
                tail: kept.tail.clone(),
            },
            None => std::future::pending().await,
        }
    }

    /// Ends a server that was started for the experiment. Leaves an attached one running.
    pub async fn end(self) {
        if let Some(kept) = self.kept {
            kept.end().await;
        }
    }
}

/// Returns a port of the loopback address that is free now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Returns the values for the placeholders in a command that the service knows itself.
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

/// Returns the maximum sequence length in tokens, from the argument `context` or the model's files.
fn max_sequence_tokens(spec: &Spec, model: &LocatedModel) -> Option<u32> {
    let argument = spec
        .engine_arguments
        .get("context")
        .and_then(|value| value.to_string().parse().ok());
    let of_files = model.files.as_ref().and_then(|files| files.max_context_tokens);
    argument.or_else(|| u32::try_from(of_files?).ok())
}

/// Returns the whole environment of a started server: what it needs to run, the variables that the configuration lists,
/// and the leased GPUs.
fn environment_of(settings: &EngineSettings, spec: &Spec) -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    let usual = environment::for_servers().into_iter().filter_map(text);
    let listed = settings.environment.iter();
    let listed = listed.filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)));
    let gpus = match spec.device {
        Device::Cuda => spec.gpus.join(","),
        Device::Cpu | Device::Auto => String::new(),
    };
    // By UUID, since CUDA orders devices by speed and NVML by PCI slot. An empty value hides every GPU.
    let leased = ("CUDA_VISIBLE_DEVICES".to_owned(), gpus);
    let all: BTreeMap<_, _> = usual.chain(listed).chain([leased]).collect();
    all.into_iter().collect()
}
