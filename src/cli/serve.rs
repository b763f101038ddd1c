use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::service_manager::{self, Vitals};
use super::{
    access, callback, energy as energy_options, logging, machine, node, only_server, open_files, options::Options,
};
use crate::config::Settings;
use crate::engines::Engines;
use crate::http::{self, AppState, Exports, Listener, Streams};
use crate::metrics::ExperimentMetrics;
use crate::progress::{Feed, ProgressBoard};
use crate::scheduler::{Cluster, Context, DigestCache, Launcher, Limits, ModelSources, Models, RestWatch, Scheduler};
use crate::trace::{self, Traces};
use joulemark_experiment::{Capabilities, Gpu, Host};
use joulemark_measurement::clock::Monotonic;
use joulemark_meter::{EnergyOptions, HostMeter};
use joulemark_store::{Drained, Spool, Store};
use joulemark_worker::inference::prompts;

pub fn run(options: Options) -> anyhow::Result<()> {
    let layered = options.load()?;
    let energy_options = energy_options::options(&layered);
    let settings = layered.settings;
    logging::start_server(&settings)?;
    open_files::allow_for(settings.limits.max_connections);
    // From this thread, which lives as long as the server.
    let launcher = Launcher::start().context("the launcher of workers does not start")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(settings, energy_options, launcher));
    // A file that is still being hashed, or a name being resolved, does not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(settings: Settings, energy_options: EnergyOptions, launcher: Launcher) -> anyhow::Result<()> {
    let deliveries = callback::build(&settings)?;
    // All before the database is touched: recovery takes over what it believes a dead server left.
    let listener = Listener::bind(&settings.service.listen).await.with_context(|| {
        format!(
            "cannot listen on {} (is another server there?)",
            settings.service.listen
        )
    })?;
    let _only_server = only_server::lock(&settings.service.database_url)?;
    let (node, _seat) = node::take(&settings)?;
    let traces = match settings.telemetry.otlp_endpoint.as_str() {
        "" => Traces::default(),
        endpoint => trace::connect(endpoint, &node.name)?,
    };
    let cpus = machine::usable_cpus()?;
    let opened = joulemark_meter::open(&energy_options);
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
    let meter = HostMeter::start(opened).context("the energy meter does not start")?;
    let devices = meter.devices();
    let store = Store::open(&settings.service.database_url)
        .await
        .context("the database cannot be opened")?;
    let spool = match settings.service.spool_folder(&node.name) {
        Some(folder) => {
            let shown = folder.display().to_string();
            Some(Spool::open(&folder).with_context(|| format!("the spool {shown} cannot be used (spool_dir)"))?)
        }
        None => None,
    };
    // Before recovery, which would run again what is finished.
    if let Some(spool) = &spool {
        let drained = spool
            .drain(&store)
            .await
            .context("the ends of earlier runs cannot be stored")?;
        if drained != Drained::default() {
            tracing::warn!(?drained, "ends of runs had waited for the database");
        }
    }
    let host = Host {
        gpus: devices
            .gpus
            .iter()
            .map(|gpu| Gpu {
                index: gpu.index,
                uuid: gpu.uuid.clone(),
                name: gpu.name.clone().unwrap_or_else(|| "unnamed GPU".to_owned()),
            })
            .collect(),
        cuda_build: false,
        cpus: cpus.len() as u32,
        default_dataset: prompts::DEFAULT_DATASET.to_owned(),
        datasets: prompts::sets()
            .into_iter()
            .map(|set| (set.name.to_owned(), set.count as u32))
            .collect(),
    };
    let machine = machine::describe(&devices, &cpus)?;
    let models = Models::new(ModelSources {
        folder: settings.service.models_dir.clone(),
        allow_hub: settings.service.allow_hub,
        hub_allow: settings.access.hub_allow.clone(),
        allow_synthetic: settings.service.allow_synthetic_engine,
    });
    let engines = Engines::beside_this_program(settings.service.engine_folder())
        .context("this program's own path cannot be found")?;
    for found in engines.find_all() {
        match found {
            Ok(found) => tracing::info!("engine {}: {}", found.offer.name, found.program.display()),
            Err(problem) => tracing::warn!("{problem}"),
        }
    }
    let mut own_offer = Capabilities {
        hostname: machine.hostname.clone(),
        version: machine.joulemark_version.clone(),
        labels: settings.node.labels(),
        host,
        models: models.offered(),
        allow_hub: settings.service.allow_hub,
        allow_synthetic_engine: settings.service.allow_synthetic_engine,
        engines: Vec::new(),
    };
    own_offer.set_engines(engines.offered());
    let newest = store.newest_transition().await.context("the database cannot be read")?;
    let feed = Feed::new(newest);
    let scheduler = Scheduler::new(Context {
        models: models.clone(),
        store: store.clone(),
        node: Arc::new(node),
        cluster: Cluster::new(own_offer),
        spool,
        meter: meter.clone(),
        rest: RestWatch::new(Monotonic::now()),
        launcher,
        progress: ProgressBoard::default(),
        feed: feed.clone(),
        metrics: ExperimentMetrics::default(),
        traces: traces.clone(),
        digests: DigestCache::default(),
        limits: Limits {
            load: Duration::from_secs(u64::from(settings.node.load_timeout_sec)),
            stall: Duration::from_secs(u64::from(settings.node.stall_timeout_sec)),
            experiment: Duration::from_secs(u64::from(settings.node.experiment_timeout_sec)),
            max_prompts: settings.limits.max_prompts,
            max_total_tokens: settings.limits.max_total_tokens,
        },
        engines,
        program: std::env::current_exe().context("this program's own path cannot be found")?,
        machine: Arc::new(machine),
        cpus: Arc::new(cpus),
    });
    let access = Arc::new(access::build(&settings)?);
    let stopping = stop_signal()?;
    let state = AppState {
        store: store.clone(),
        scheduler: scheduler.clone(),
        meter: meter.clone(),
        models,
        access: access.clone(),
        feed,
        streams: Streams::new(settings.limits.max_streams),
        callbacks: deliveries.as_ref().map(|deliveries| deliveries.poster.allowed.clone()),
        exports: Exports::new(settings.limits.max_concurrent_exports),
        stopping: stopping.clone(),
        metrics: http::Metrics::start(),
        traces: traces.clone(),
    };
    node::join(&scheduler, store.is_shared()).await?;
    // Machine-readable, also with port 0: scripts and tests wait for this line.
    let address = listener.address()?;
    println!("listening on {address}");
    let keeping = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.heartbeat().await }
    });
    let telling = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.feed_events().await }
    });
    if let Some(deliveries) = deliveries {
        let scheduler = scheduler.clone();
        tokio::spawn(async move { scheduler.deliver(&deliveries).await });
    }
    // Whoever listens for it is not killed by it: a limit on file sizes is a full disk like any other.
    let _file_size_limit = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let working = tokio::spawn({
        let scheduler = scheduler.clone();
        async move { scheduler.work().await }
    });
    let limits = access.limits.clone();
    let policy = super::db::policy(&settings);
    tokio::spawn(policy.keep(store.clone(), stopping.clone()));
    let server = http::serve(listener, http::router(state), limits, stopping.clone());
    let mut server = tokio::spawn(server);
    let noting_use = tokio::spawn({
        let (access, store) = (access.clone(), store.clone());
        async move { access.last_used.write_forever(&store).await }
    });
    let vitals = Vitals {
        meter,
        scheduler: scheduler.clone(),
        tasks: vec![
            ("the scheduler", working.abort_handle()),
            ("the heartbeat", keeping.abort_handle()),
            ("the feed of events", telling.abort_handle()),
            ("the HTTP server", server.abort_handle()),
        ],
    };
    tokio::spawn(service_manager::watch(vitals, stopping.clone()));
    service_manager::ready(&address);
    stopping.cancelled().await;
    service_manager::stopping();
    tracing::info!("stopping: running experiments go back to the queue");
    scheduler.stop();
    working.await?;
    scheduler.drained().await;
    keeping.await?;
    telling.await?;
    scheduler.leave().await;
    // A client that holds its connection open does not hold the server.
    if tokio::time::timeout(Duration::from_secs(5), &mut server).await.is_err() {
        server.abort();
    }
    noting_use.abort();
    access.last_used.write(&store).await;
    store.close().await;
    Ok(tokio::task::spawn_blocking(move || traces.close()).await?)
}

/// Cancelled at the first SIGTERM or SIGINT; the second one ends the process at once.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first.is_cancelled() {
                std::process::exit(130);
            }
            first.cancel();
        }
    });
    Ok(token)
}
