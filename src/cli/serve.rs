//! `joulemark serve`: builds the parts of the server, starts its tasks, and ends them in two stages.

mod build;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use self::build::{Host, HostLocks, Server};
use super::service_manager::{self, Vitals};
use super::{energy as energy_options, logging, node, open_files, options::Options};
use crate::config;
use crate::http::{self, Access};
use crate::lifecycle::{Lifecycle, Stage, Stages};
use crate::scheduler::{Launcher, Resources};

/// Maximum wait at the end for blocking work, such as hashing a file or resolving a name.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

pub fn run(options: Options) -> anyhow::Result<()> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config::refuse_unknown_variables(names)?;
    let layered = options.load()?;
    let energy_options = energy_options::options(&layered);
    let settings = layered.settings;
    logging::start_server(&settings)?;
    open_files::allow_for(settings.limits.max_connections);
    // Its thread forks all workers, which end with it, so it must live as long as the server.
    let launcher = Launcher::start().context("the launcher of workers cannot be started")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let host = {
        let _context = runtime.enter();
        Host::take(settings, &energy_options, launcher)?
    };
    let outcome = runtime.block_on(serve(host));
    runtime.shutdown_timeout(LAST_PATIENCE);
    outcome
}

async fn serve(host: Host) -> anyhow::Result<()> {
    let mut lifecycle = Lifecycle::default();
    let server = Server::build(host, lifecycle.stages()).await?;
    lifecycle.obey_signals()?;
    // With a handler, exceeding a limit on file sizes is an error of the write and does not end the process.
    let _file_size_limit = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    node::join(&server.scheduler, server.resources.store.is_shared()).await?;
    // Scripts and tests read the address, also for port 0, from this line.
    let address = server.listener.address()?;
    if let Err(error) = writeln!(std::io::stdout(), "listening on {address}") {
        tracing::warn!(%error, "listening on {address}; standard output cannot be written");
    }
    let remaining = server.start(&mut lifecycle);
    service_manager::ready(&address);
    lifecycle.stopped().await;
    service_manager::stopping();
    tracing::info!("stopping: running experiments go back to the queue");
    lifecycle.end().await;
    remaining.close().await
}

/// Resources that are closed after every task has ended.
struct Remaining {
    resources: Resources,
    access: Arc<Access>,
    _locks: HostLocks,
}

impl Server {
    /// Starts every task of the server; each ends in its stage.
    fn start(self, lifecycle: &mut Lifecycle) -> Remaining {
        let Stages { stopping, leaving } = lifecycle.stages();
        let Resources { store, meter, .. } = self.resources.clone();
        let scheduler = self.scheduler.clone();
        lifecycle.spawn("the heartbeat", Stage::Leaving, async move {
            scheduler.heartbeat().await;
            scheduler.leave().await;
        });
        let scheduler = self.scheduler.clone();
        lifecycle.spawn("the power control", Stage::Leaving, async move {
            scheduler.keep_power().await;
        });
        let scheduler = self.scheduler.clone();
        lifecycle.spawn("the event feed", Stage::Leaving, async move {
            scheduler.feed_events().await;
        });
        if let Some(deliveries) = self.deliveries {
            let scheduler = self.scheduler.clone();
            lifecycle.spawn("the delivery of callbacks", Stage::Leaving, async move {
                scheduler.deliver(&deliveries).await;
            });
        }
        let scheduler = self.scheduler.clone();
        lifecycle.spawn("the scheduler", Stage::Stopping, async move { scheduler.work().await });
        let retention = self.retention.keep(store.clone(), stopping.clone());
        lifecycle.spawn("the retention of raw data", Stage::Leaving, retention);
        let serving = http::serve(self.listener, self.router, self.access.clone(), stopping.clone());
        lifecycle.spawn("the HTTP server", Stage::Leaving, serving);
        let access = self.access.clone();
        lifecycle.spawn("the record of when keys were last used", Stage::Leaving, async move {
            access.last_used.keep(&store, &leaving).await;
        });
        let vitals = Vitals {
            meter,
            scheduler: self.scheduler,
            tasks: lifecycle.tasks(),
        };
        lifecycle.spawn("the watchdog", Stage::Leaving, service_manager::watch(vitals, stopping));
        Remaining {
            resources: self.resources,
            access: self.access,
            _locks: self.locks,
        }
    }
}

impl Remaining {
    async fn close(self) -> anyhow::Result<()> {
        let Resources { store, traces, .. } = self.resources;
        self.access.last_used.write(&store).await;
        store.close().await;
        Ok(tokio::task::spawn_blocking(move || traces.close()).await?)
    }
}
