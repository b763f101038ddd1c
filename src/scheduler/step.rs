use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::leases::{Lease, needed, startable};
use super::run::Run;
use super::surroundings::timeseries;
use crate::clock::{self, Monotonic};
use crate::experiment::{ExperimentId, Failure, FailureReason, Spec, State};
use crate::progress::Progress;
use crate::store::{CancelOutcome, StoreError, Timeseries};

/// How often the queue is looked at without being woken: a submission may come through another server.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// How long a cancel's answer waits for the run to end; the workers themselves are killed at once.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

/// What one look at the queue did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Started(Vec<ExperimentId>),
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    Cancelled,
    AlreadyFinished(State),
    NotFound,
}

struct Running {
    claimed_at: Monotonic,
    leases: HashSet<Lease>,
    cancel: CancellationToken,
    ended: CancellationToken,
}

struct Shared {
    context: Context,
    running: Mutex<HashMap<ExperimentId, Running>>,
    wake: Notify,
    stopping: CancellationToken,
}

/// Starts what can start, whenever something changed.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl Scheduler {
    pub fn new(context: Context) -> Self {
        Self(Arc::new(Shared {
            context,
            running: Mutex::new(HashMap::new()),
            wake: Notify::new(),
            stopping: CancellationToken::new(),
        }))
    }

    fn running(&self) -> MutexGuard<'_, HashMap<ExperimentId, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was submitted or has finished: look at the queue now.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub fn progress(&self, id: ExperimentId) -> Option<Progress> {
        self.0.context.progress.get(id)
    }

    /// Which experiment of this server has each leased device.
    pub fn leases(&self) -> HashMap<Lease, ExperimentId> {
        let running = self.running();
        let each = running
            .iter()
            .flat_map(|(id, running)| running.leases.iter().map(|lease| (lease.clone(), *id)));
        each.collect()
    }

    /// The devices of an experiment since it was claimed; none unless it runs on this server.
    pub async fn live_timeseries(&self, id: ExperimentId, spec: &Spec) -> Option<Timeseries> {
        let claimed_at = self.running().get(&id)?.claimed_at;
        Some(timeseries(&self.0.context.meter, spec, claimed_at).await)
    }

    /// Steps until [`Self::stop`].
    pub async fn work(&self) {
        while !self.0.stopping.is_cancelled() {
            if let Err(error) = self.step().await {
                tracing::error!(%error, "the queue cannot be read; trying again");
            }
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = self.0.stopping.cancelled() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
    }

    /// Starts every queued experiment whose devices are free.
    ///
    /// # Errors
    /// When the database fails; what was started stays started.
    pub async fn step(&self) -> Result<Outcome, StoreError> {
        const LOOK_AHEAD: u32 = 1000;
        // Before anything is claimed: it reads what the meter has already, so no claim waits for it.
        self.0.context.rest.look(&self.0.context.meter, Monotonic::now());
        let queued = self.0.context.store.queued(LOOK_AHEAD).await?;
        let wanted = queued
            .iter()
            .map(|record| (record.id, needed(&record.spec)))
            .collect::<Vec<_>>();
        let leased = self
            .running()
            .values()
            .flat_map(|running| running.leases.clone())
            .collect::<HashSet<_>>();
        let mut started = Vec::new();
        for id in startable(&wanted, &leased) {
            if self.0.stopping.is_cancelled() {
                break;
            }
            let Some(attempt) = self.0.context.store.claim(id, clock::wall_now()).await? else {
                continue;
            };
            let Some(record) = queued.iter().find(|record| record.id == id).cloned() else {
                continue;
            };
            let running = Running {
                claimed_at: Monotonic::now(),
                leases: needed(&record.spec),
                cancel: CancellationToken::new(),
                ended: CancellationToken::new(),
            };
            let bare = self.0.context.rest.powers();
            let run = Run {
                context: self.0.context.clone(),
                record,
                attempt,
                bare,
                claimed_at: running.claimed_at,
                cancel: running.cancel.clone(),
                server_stopping: self.0.stopping.clone(),
            };
            let ended = running.ended.clone().drop_guard();
            self.0.context.rest.work_begins();
            self.running().insert(id, running);
            let scheduler = self.clone();
            tracing::info!(experiment = %id, attempt, "started");
            tokio::spawn(async move {
                let release = Release { scheduler, id };
                release.scheduler.supervise(run).await;
                drop(release);
                drop(ended);
            });
            started.push(id);
        }
        Ok(if started.is_empty() {
            Outcome::Idle
        } else {
            Outcome::Started(started)
        })
    }

    /// A panic in a run fails its experiment; it would otherwise stand as running until the next restart.
    async fn supervise(&self, run: Run) {
        let (id, attempt) = (run.record.id, run.attempt);
        let Err(panic) = tokio::spawn(run.finish()).await else {
            return;
        };
        let failure = Failure {
            reason: FailureReason::ServerError,
            message: format!("the server failed while it ran the experiment: {panic}"),
            rank: None,
            signal: None,
            exit_code: None,
            log_tail: Vec::new(),
        };
        tracing::error!(experiment = %id, "{}", failure.message);
        if let Err(error) = self
            .0
            .context
            .store
            .fail(id, attempt, &failure, clock::wall_now())
            .await
        {
            tracing::error!(experiment = %id, %error, "the failure cannot be stored; a restart runs the experiment again");
        }
    }

    /// Asks a running experiment to end. One that was claimed a moment ago may not be listed yet: asked again.
    async fn ask_to_end(&self, id: ExperimentId) -> Option<CancellationToken> {
        for _ in 0..20 {
            let ended = self.running().get(&id).map(|running| {
                running.cancel.cancel();
                running.ended.clone()
            });
            if ended.is_some() {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        None
    }

    /// # Errors
    /// When the database fails.
    pub async fn cancel(&self, id: ExperimentId) -> Result<CancelAnswer, StoreError> {
        let store = &self.0.context.store;
        // Before the database, which may be slow: what runs here is stopped at once.
        if let Some(running) = self.running().get(&id) {
            running.cancel.cancel();
        }
        match store.cancel(id, clock::wall_now()).await? {
            CancelOutcome::NotFound => return Ok(CancelAnswer::NotFound),
            CancelOutcome::AlreadyFinished(state) => return Ok(CancelAnswer::AlreadyFinished(state)),
            CancelOutcome::Cancelled => return Ok(CancelAnswer::Cancelled),
            CancelOutcome::Running => {}
        }
        if let Some(ended) = self.ask_to_end(id).await {
            let _ = tokio::time::timeout(CANCEL_PATIENCE, ended.cancelled()).await;
        }
        Ok(match store.get(id).await?.map(|record| record.state) {
            None => CancelAnswer::NotFound,
            Some(State::Cancelled) => CancelAnswer::Cancelled,
            Some(state) => CancelAnswer::AlreadyFinished(state),
        })
    }

    /// Starts nothing more and sends what runs back to the queue.
    pub fn stop(&self) {
        self.0.stopping.cancel();
    }

    /// Returns once no worker is left. To be called when [`Self::work`] has ended, so that nothing is being claimed.
    pub async fn drained(&self) {
        let ended = self
            .running()
            .values()
            .map(|running| running.ended.clone())
            .collect::<Vec<_>>();
        for ended in ended {
            ended.cancelled().await;
        }
    }
}

/// Gives the devices back however the run ends, a panic included.
struct Release {
    scheduler: Scheduler,
    id: ExperimentId,
}

impl Drop for Release {
    fn drop(&mut self) {
        let mut running = self.scheduler.running();
        running.remove(&self.id);
        if running.is_empty() {
            self.scheduler.0.context.rest.work_ended(Monotonic::now());
        }
        drop(running);
        self.scheduler.wake();
    }
}
