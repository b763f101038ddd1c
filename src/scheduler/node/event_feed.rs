//! Publishes events to listening clients: changes of state, read from the database for all servers, and the progress of
//! the experiments that run here.

use std::time::Duration;

use crate::progress::{Progress, Snapshot};
use crate::scheduler::queue::leases::Lease;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::StoreError;

/// Period at which changes by other servers are read. This server's own changes wake the feed at once.
const PERIOD: Duration = Duration::from_millis(250);
/// The same period while no client listens, so that the feed is not far behind when one does.
const IDLE_PERIOD: Duration = Duration::from_secs(2);
const PROGRESS_PERIOD_SEC: f64 = 1.0;
const MAX_AT_ONCE: u32 = 1000;

impl Scheduler {
    /// Publishes events until the server has stopped. One query serves all clients.
    pub async fn feed_events(&self) {
        let mut moved = self.context().resources.store.hear_moves();
        let mut published_at = Monotonic::now();
        let mut is_unreachable = false;
        while !self.leaving().is_cancelled() {
            match self.feed_transitions().await {
                Ok(()) => is_unreachable = false,
                // Logged once per outage: the heartbeat logs it every second.
                Err(error) if !is_unreachable => {
                    is_unreachable = true;
                    tracing::warn!(%error, "changes of state cannot be read; listening clients get them later");
                }
                Err(_) => {}
            }
            let now = Monotonic::now();
            if now.sec_since(published_at) >= PROGRESS_PERIOD_SEC {
                published_at = now;
                self.feed_progress();
            }
            let period = match self.context().resources.feed.has_listeners() {
                true => PERIOD,
                false => IDLE_PERIOD,
            };
            tokio::select! {
                _ = moved.changed(), if !is_unreachable => {}
                () = tokio::time::sleep(period) => {}
                () = self.leaving().cancelled() => {}
            }
        }
    }

    async fn feed_transitions(&self) -> Result<(), StoreError> {
        let context = self.context();
        loop {
            let found = context
                .resources
                .store
                .transitions_after(context.resources.feed.newest(), MAX_AT_ONCE)
                .await?;
            let is_all = found.len() < MAX_AT_ONCE as usize;
            context.resources.feed.publish(found);
            if is_all {
                return Ok(());
            }
        }
    }

    fn feed_progress(&self) {
        let context = self.context();
        let wanted = context
            .progress
            .ids()
            .into_iter()
            .filter(|id| context.resources.feed.has_listeners_to(*id));
        let snapshot = |id| {
            Some(Snapshot {
                id,
                progress: self.progress(id)?,
            })
        };
        context
            .resources
            .feed
            .publish_progress(wanted.filter_map(snapshot).collect());
    }

    /// Returns what an experiment is doing, with the power of its devices; `None` unless it runs on this server.
    pub fn progress(&self, id: ExperimentId) -> Option<Progress> {
        let progress = self.context().progress.get(id, Monotonic::now())?;
        let leases = self.running().get(id)?.leases;
        let devices = self.context().resources.meter.devices();
        let power_of = |uuid: &String| devices.gpus.iter().find(|gpu| gpu.uuid == *uuid)?.live_power_w;
        let gpus: Vec<_> = leases
            .iter()
            .filter_map(|lease| match lease {
                Lease::Gpu(uuid) => Some(power_of(uuid)),
                Lease::Cpu => None,
            })
            .collect();
        let (has_cpu, has_gpus) = (leases.contains(&Lease::Cpu), !gpus.is_empty());
        let gpu_power_w: Option<f64> = gpus.into_iter().sum::<Option<f64>>().filter(|_| has_gpus);
        let cpu_power_w = devices.cpu.live_power_w.filter(|_| has_cpu);
        let power_w = match (has_gpus, has_cpu) {
            (true, true) => gpu_power_w.zip(cpu_power_w).map(|(gpus, cpu)| gpus + cpu),
            (true, false) => gpu_power_w,
            (false, _) => cpu_power_w,
        };
        Some(Progress {
            power_w,
            gpu_power_w,
            cpu_power_w,
            ..progress
        })
    }
}
