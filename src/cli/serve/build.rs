//! Builds the parts of the server from its settings, before any task runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::Router;

use super::super::{access, callback, database_lock, db, machine, node, power};
use crate::config::Settings;
use crate::disk::{self, Disk};
use crate::engines::{EngineProblem, Engines};
use crate::http::{self, Access, AppState, Exports, Listener, Streams};
use crate::lifecycle::Stages;
use crate::metrics::ExperimentMetrics;
use crate::progress::{Feed, ProgressBoard};
use crate::scheduler::{
    Cluster, Context, Deliveries, DigestCache, IdleWatch, Launcher, Limits, Locks, ModelSources, Models, Node,
    PromptFolder, Resources, RetentionPolicy, Scheduler, crash_note, end_left, prepare_power,
};
use crate::trace::{self, Traces};
use joulemark_experiment::{Capabilities, Clocks, Gpu, Host as ExperimentHost, OfferedServer, PowerLimits};
use joulemark_measurement::Machine;
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{Devices, EnergyOptions, HostMeter};
use joulemark_power_control::milliwatts;
use joulemark_store::{Drained, Shares, Spool, Store, sqlite_file};
use joulemark_worker::inference::prompts;

/// Locks that the server holds for its whole life.
pub struct HostLocks {
    _database: Option<database_lock::DatabaseLock>,
    _node_name: Locks,
}

/// Resources of the host. All are taken before the database is opened, since the server then takes over the experiments
/// of servers that appear dead.
pub struct Host {
    settings: Settings,
    launcher: Launcher,
    deliveries: Option<Deliveries>,
    access: Access,
    listener: Listener,
    locks: HostLocks,
    node: Node,
    traces: Traces,
    meter: HostMeter,
    cpus: Vec<u32>,
    machine: Machine,
    engines: Engines,
    program: PathBuf,
}

impl Host {
    /// Reads the files that the settings name, binds the address, takes the locks and opens the sensors. Blocks; must
    /// be called within the context of a runtime.
    pub fn take(settings: Settings, energy: &EnergyOptions, launcher: Launcher) -> anyhow::Result<Self> {
        let deliveries = callback::build(&settings)?;
        let access = access::build(&settings)?;
        let listener = Listener::bind(&settings.service.listen).with_context(|| {
            format!(
                "cannot listen on {} (does another server listen there?)",
                settings.service.listen
            )
        })?;
        let database = database_lock::lock(&settings.service.database_url)?;
        let (node, node_name) = node::take(&settings)?;
        let traces = match settings.telemetry.otlp_endpoint.as_str() {
            "" => Traces::default(),
            endpoint => trace::connect(endpoint, &node.name)?,
        };
        let cpus = machine::usable_cpus()?;
        let meter = start_meter(energy)?;
        let machine = machine::describe(&meter.devices(), &cpus)?;
        let program = std::env::current_exe().context("this program's own path cannot be found")?;
        let engines = Engines::beside_this_program(settings.service.engine_folder())
            .context("this program's own path cannot be found")?;
        for found in engines.find_all() {
            match found {
                Ok(found) => tracing::info!("engine {}: {}", found.offer.name, found.program.display()),
                Err(problem) => tracing::warn!("{problem}"),
            }
        }
        Ok(Self {
            settings,
            launcher,
            deliveries,
            access,
            listener,
            locks: HostLocks {
                _database: database,
                _node_name: node_name,
            },
            node,
            traces,
            meter,
            cpus,
            machine,
            engines,
            program,
        })
    }

    /// Returns the configured inference servers as they are offered to clients.
    fn servers(&self) -> Vec<OfferedServer> {
        let servers = self.settings.engines.iter();
        servers.map(|(name, server)| server.offered(name)).collect()
    }

    /// Returns the capabilities that this node publishes to the other nodes.
    fn capabilities(&self, models: &Models, prompts: &PromptFolder) -> Capabilities {
        let mut own = Capabilities {
            hostname: self.machine.hostname.clone(),
            version: self.machine.joulemark_version.clone(),
            labels: self.settings.node.labels(),
            host: describe_host(&self.meter.devices(), &self.cpus),
            models: models.offered(),
            allow_hub: self.settings.service.allow_hub,
            allow_synthetic_engine: self.settings.service.allow_synthetic_engine,
            prompt_files: prompts.names(),
            servers: self.servers(),
            engine_problems: Vec::new(),
            engines: Vec::new(),
        };
        let look = self.engines.look();
        let problems = look.problems.iter().map(EngineProblem::for_clients);
        own.set_engines(look.offered, problems.collect());
        own
    }
}

/// A server that is built and none of whose tasks runs yet.
pub struct Server {
    pub resources: Resources,
    pub scheduler: Scheduler,
    pub access: Arc<Access>,
    pub listener: Listener,
    pub router: Router,
    pub deliveries: Option<Deliveries>,
    pub retention: RetentionPolicy,
    pub locks: HostLocks,
}

impl Server {
    /// Opens the database and stores the results that earlier runs left in the spool.
    pub async fn build(host: Host, stages: Stages) -> anyhow::Result<Self> {
        let query_timeout = match host.settings.limits.query_timeout_sec {
            0 => None,
            sec => Some(Duration::from_secs(u64::from(sec))),
        };
        let store = Store::open_for_requests(&host.settings.service.database_url, query_timeout)
            .await
            .context("the database cannot be opened")?;
        let database_file = sqlite_file(&host.settings.service.database_url);
        let disks = disks(&host.settings, &host.node, database_file.as_deref());
        let spool = open_spool(&host.settings, &host.node, &store).await?;
        let models = Models::new(ModelSources {
            folder: host.settings.service.models_dir.clone(),
            allow_hub: host.settings.service.allow_hub,
            hub_allow: host.settings.access.hub_allow.clone(),
            allow_synthetic: host.settings.service.allow_synthetic_engine,
        });
        let prompts = PromptFolder::new(
            host.settings.service.prompts_dir.clone(),
            host.settings.access.max_body_bytes as u64,
        );
        let mut capabilities = tokio::task::block_in_place(|| host.capabilities(&models, &prompts));
        let power = power::controller(&host.settings, host.node.locks.path());
        capabilities.host.power_problem = prepare_power(power.as_ref(), &host.meter, host.node.locks.path()).await;
        let newest = store.newest_transition().await.context("the database cannot be read")?;
        let resources = Resources {
            store,
            meter: host.meter,
            models,
            feed: Feed::new(newest),
            traces: host.traces,
        };
        let engine_records = engine_records(&host.node);
        tokio::task::block_in_place(|| end_left(&engine_records));
        let context = Context {
            resources: resources.clone(),
            node: Arc::new(host.node),
            cluster: Cluster::new(capabilities),
            spool,
            idle: IdleWatch::new(Monotonic::now()),
            launcher: host.launcher,
            progress: ProgressBoard::default(),
            metrics: ExperimentMetrics::default(),
            digests: DigestCache::default(),
            prompts,
            limits: limits(&host.settings),
            engines: host.engines,
            servers: Arc::new(host.settings.engines.clone()),
            engine_records,
            program: host.program,
            machine: Arc::new(host.machine),
            log_worker_output: host.settings.telemetry.log_worker_output,
            cpus: Arc::new(host.cpus),
            powercap: host.settings.energy.rapl_root.clone(),
            power,
            footprint: Arc::new(host.settings.footprint.clone()),
        };
        let scheduler = Scheduler::new(context, stages.clone());
        let access = Arc::new(host.access);
        let state = AppState {
            resources: resources.clone(),
            scheduler: scheduler.clone(),
            access: access.clone(),
            places: Shares::new(host.settings.limits.max_concurrent_requests, access.share_percent()),
            streams: Streams::new(host.settings.limits.max_streams, access.share_percent()),
            callbacks: host
                .deliveries
                .as_ref()
                .map(|deliveries| deliveries.poster.allowed.clone()),
            exports: Exports::new(host.settings.limits.max_concurrent_exports),
            readiness: Arc::default(),
            disks: disks.into(),
            database_file: database_file.map(Arc::from),
            stopping: stages.stopping,
            metrics: http::Metrics::start(),
            live_lines: http::LiveLines::default(),
        };
        Ok(Self {
            resources,
            scheduler,
            access,
            listener: host.listener,
            router: http::router(state),
            deliveries: host.deliveries,
            retention: db::policy(&host.settings),
            locks: host.locks,
        })
    }
}

fn start_meter(options: &EnergyOptions) -> anyhow::Result<HostMeter> {
    let opened = joulemark_meter::open(options);
    for finding in &opened.devices.findings {
        let (subject, detail, fix) = (
            &finding.subject,
            &finding.detail,
            match (&finding.fix, finding.works) {
                (Some(fix), _) => fix.as_str(),
                (None, true) => "none needed",
                (None, false) => "none known",
            },
        );
        tracing::info!(works = finding.works, fix, "energy source {subject}: {detail}");
    }
    HostMeter::start(opened).context("the energy meter cannot be started")
}

/// Lists the folders that the server writes to, and reserves disk space beside an SQLite file.
fn disks(settings: &Settings, node: &Node, database_file: Option<&Path>) -> Vec<Disk> {
    if let Some(Err(error)) = database_file.map(disk::reserve) {
        tracing::warn!(%error, "no disk space can be reserved for pruning a full disk");
    }
    let parent = |file: &Path| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let database = database_file.map(|file| Disk {
        name: "database",
        folder: parent(file),
    });
    let spool = settings
        .service
        .spool_folder(&node.name)
        .map(|folder| Disk { name: "spool", folder });
    database.into_iter().chain(spool).collect()
}

/// Opens the spool and stores its results before recovery can run the same experiments again.
async fn open_spool(settings: &Settings, node: &Node, store: &Store) -> anyhow::Result<Option<Spool>> {
    let Some(folder) = settings.service.spool_folder(&node.name) else {
        return Ok(None);
    };
    let shown = folder.display().to_string();
    let spool = tokio::task::block_in_place(|| Spool::open(&folder))
        .with_context(|| format!("the spool {shown} cannot be used (spool_dir)"))?;
    let drained = spool
        .drain(store)
        .await
        .context("the results of earlier runs cannot be stored")?;
    if drained != Drained::default() {
        let Drained { stored, dropped, left } = drained;
        tracing::warn!(
            stored,
            dropped,
            left,
            "stored results that earlier runs left in the spool"
        );
    }
    let crashed = tokio::task::block_in_place(|| crash_note::start(&folder));
    for id in crashed.with_context(|| format!("the records of crashes in {shown} cannot be written"))? {
        tracing::warn!(experiment = %id, "an earlier server crashed while it worked on this experiment: one attempt is used up");
        store
            .use_up_attempt(id)
            .await
            .context("the database cannot be written")?;
    }
    Ok(Some(spool))
}

fn describe_host(devices: &Devices, cpus: &[u32]) -> ExperimentHost {
    let gpus = devices.gpus.iter().map(|gpu| Gpu {
        index: gpu.index,
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone().unwrap_or_else(|| "unnamed GPU".to_owned()),
        compute_capability: gpu.compute_capability,
        engine_problem: None,
        power_limits: gpu.power_limits.map(|limits| PowerLimits {
            min_mw: milliwatts(limits.min_w),
            max_mw: milliwatts(limits.max_w),
            default_mw: limits.default_w.map(milliwatts),
        }),
        clocks: gpu.lockable_clocks.as_ref().map(|clocks| Clocks {
            gpu_min_mhz: clocks.gpu_min_mhz,
            gpu_max_mhz: clocks.gpu_max_mhz,
            memory_mhz: clocks.memory_mhz.clone(),
        }),
    });
    let datasets = prompts::sets().into_iter();
    ExperimentHost {
        gpus: gpus.collect(),
        cuda_build: false,
        cpus: cpus.len() as u32,
        power_problem: None,
        default_dataset: prompts::DEFAULT_DATASET.to_owned(),
        datasets: datasets.map(|set| (set.name.to_owned(), set.count as u32)).collect(),
    }
}

fn limits(settings: &Settings) -> Limits {
    let seconds = |sec: u32| Duration::from_secs(u64::from(sec));
    Limits {
        load: seconds(settings.node.load_timeout_sec),
        stall: seconds(settings.node.stall_timeout_sec),
        experiment: seconds(settings.node.experiment_timeout_sec),
        max_prompts: settings.limits.max_prompts,
        max_total_tokens: settings.limits.max_total_tokens,
    }
}

/// Returns the folder that records the started inference servers of this host and user.
fn engine_records(node: &Node) -> PathBuf {
    node.locks.path().join(format!("engines-{}", nix::unistd::getuid()))
}
