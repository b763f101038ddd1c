//! The scheduler's loop: claims queued experiments and supervises their runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::context::Context;
use super::past_runs::PastRuns;
use crate::lifecycle::Stages;
use crate::metrics::ExperimentMetrics;
use crate::scheduler::node::liveness::Liveness;
use crate::scheduler::queue::cluster::Node;
use crate::scheduler::queue::device_locks::Locks;
use crate::scheduler::queue::host_queue::HostQueue;
use crate::scheduler::queue::leases::{Lease, Start};
use crate::scheduler::queue::snapshot::QueueSnapshot;
use crate::scheduler::run::attempt::Run;
use crate::scheduler::run::crash_note;
use crate::scheduler::run::observations::timeseries;
use crate::scheduler::run::running::{Ends, Running, RunningTable};
use crate::trace::{ExperimentTrace, TraceStart};
use joulemark_experiment::{ExperimentId, Failure, FailureReason, Spec, State};
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::{Claim, Record, StoreError, Timeseries};

/// Maximum time between two rounds over the queue. A submission through another server does not wake this one.
const POLL_PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of rounds in one step. A further round follows only when another server was faster to claim an
/// experiment.
const MAX_ROUNDS: u32 = 100;

/// Result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Started(Vec<ExperimentId>),
    Idle,
}

struct Shared {
    context: Context,
    running: RunningTable,
    host_queue: HostQueue,
    snapshot: Mutex<QueueSnapshot>,
    past_runs: PastRuns,
    wake: Notify,
    liveness: Liveness,
    /// Whether this server is registered under its node's name.
    is_listed: AtomicBool,
    stages: Stages,
}

/// The scheduler of one server, which starts queued experiments. Clones share it.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl Scheduler {
    /// Creates a scheduler that runs nothing yet.
    pub fn new(context: Context, stages: Stages) -> Self {
        Self(Arc::new(Shared {
            context,
            running: RunningTable::default(),
            host_queue: HostQueue::default(),
            snapshot: Mutex::default(),
            past_runs: PastRuns::default(),
            wake: Notify::new(),
            liveness: Liveness::new(Monotonic::now()),
            is_listed: AtomicBool::new(true),
            stages,
        }))
    }

    /// Returns what all runs share.
    pub(super) fn context(&self) -> &Context {
        &self.0.context
    }

    /// Returns whether an engine of this node computes on GPUs.
    pub fn has_cuda(&self) -> bool {
        self.context().cluster.own().host.cuda_build
    }

    /// Returns this server's node.
    pub fn node(&self) -> &Node {
        &self.0.context.node
    }

    /// Returns the experiments of this server.
    pub(super) fn running(&self) -> &RunningTable {
        &self.0.running
    }

    /// Returns the lock with which this server waits for its host.
    pub(super) fn host_queue(&self) -> &HostQueue {
        &self.0.host_queue
    }

    /// Returns the cache of completed runs.
    pub(super) fn run_cache(&self) -> &PastRuns {
        &self.0.past_runs
    }

    /// Returns the cached snapshot of the queue.
    pub(super) fn queue_snapshot(&self) -> &Mutex<QueueSnapshot> {
        &self.0.snapshot
    }

    /// Returns the token that is cancelled when no worker is left and the server leaves the database.
    pub(super) fn leaving(&self) -> &CancellationToken {
        &self.0.stages.leaving
    }

    /// Sets whether this server is registered under its node's name. Otherwise it starts nothing.
    pub(super) fn set_listed(&self, is_listed: bool) {
        self.0.is_listed.store(is_listed, Ordering::Relaxed);
    }

    /// Returns the record of the loops' last rounds.
    pub(super) fn liveness(&self) -> &Liveness {
        &self.0.liveness
    }

    /// Returns a description of the loop that hangs; `None` while none does.
    pub fn what_is_stuck(&self, now: Monotonic) -> Option<String> {
        self.0.liveness.what_is_stuck(now, self.node().lease)
    }

    /// Starts a round over the queue now, after a submission or the end of a run.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Returns the metrics of this server's experiments.
    pub fn metrics(&self) -> &ExperimentMetrics {
        &self.0.context.metrics
    }

    /// Returns the number of experiments that this server runs.
    pub fn running_count(&self) -> usize {
        self.0.running.all().len()
    }

    /// Returns the number of ends of runs that wait on disk for the database; `None` when the database is in memory or
    /// the disk cannot be read. Blocks.
    pub fn spooled(&self) -> Option<usize> {
        self.0.context.spool.as_ref()?.waiting().ok()
    }

    /// Returns the number of ends of runs that are neither in the database nor on disk.
    pub fn endings_in_memory(&self) -> u64 {
        u64::try_from(self.0.context.metrics.endings_in_memory.get()).unwrap_or_default()
    }

    /// Returns the devices of this host that another process has locked: another server, or a worker of a server that
    /// died. Blocks.
    pub fn held_elsewhere(&self) -> Vec<Lease> {
        let leases = self.leases();
        let gpus = self.0.context.resources.meter.devices().gpus.into_iter();
        let devices = gpus.map(|gpu| Lease::Gpu(gpu.uuid)).chain([Lease::Cpu]);
        let free = devices.filter(|lease| !leases.contains_key(lease));
        free.filter(|lease| self.node().locks.is_taken(lease)).collect()
    }

    /// Returns the experiment of this server that holds each leased device.
    pub fn leases(&self) -> HashMap<Lease, ExperimentId> {
        self.0.running.leases()
    }

    /// Returns when this server claimed an experiment's present run; `None` unless it runs on this server.
    pub fn claimed_at(&self, id: ExperimentId) -> Option<Monotonic> {
        Some(self.0.running.get(id)?.claimed_at)
    }

    /// Returns the time series of an experiment's devices since the claim; `None` unless it runs on this server.
    pub async fn live_timeseries(&self, id: ExperimentId, spec: &Spec) -> Option<Timeseries> {
        let claimed_at = self.0.running.get(id)?.claimed_at;
        Some(timeseries(&self.0.context.resources.meter, spec, claimed_at).await)
    }

    /// Runs the scheduler until the server stops, then returns once no worker is left. Running experiments return to
    /// the queue.
    pub async fn work(&self) {
        while !self.0.stages.stopping.is_cancelled() {
            if let Err(error) = self.step().await {
                tracing::error!(%error, "the queue cannot be read; trying again");
            }
            self.0.liveness.round_done(Monotonic::now());
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = self.0.stages.stopping.cancelled() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
            }
        }
        // From here on nothing is claimed.
        self.drained().await;
    }

    /// Starts every queued experiment whose turn it is and whose devices are free.
    ///
    /// # Errors
    /// Returns an error when the database fails. Experiments that have started go on.
    pub async fn step(&self) -> Result<Outcome, StoreError> {
        // Updates the idle baselines before any claim. This uses past readings of the meter, so it delays no claim.
        self.0
            .context
            .idle
            .update(&self.0.context.resources.meter, Monotonic::now());
        let mut started = Vec::new();
        for _ in 0..MAX_ROUNDS {
            if !self.0.is_listed.load(Ordering::Relaxed) || !self.has_free_devices() {
                break;
            }
            let mut is_any_lost = false;
            for (start, locks) in self.startable().await? {
                if self.0.stages.stopping.is_cancelled() {
                    return Ok(outcome(started));
                }
                let id = start.key;
                match self.start(start, locks).await? {
                    true => started.push(id),
                    false => is_any_lost = true,
                }
            }
            if !is_any_lost {
                break;
            }
        }
        Ok(outcome(started))
    }

    fn has_free_devices(&self) -> bool {
        let devices = self.0.context.cluster.own().host.gpus.len() + 1;
        self.0.running.leased().len() < devices
    }

    /// Claims an experiment, whose devices are locked, and runs it. Returns false when another server was faster.
    async fn start(&self, start: Start<ExperimentId>, locks: Locks) -> Result<bool, StoreError> {
        let (context, id) = (&self.0.context, start.key);
        let running = Running {
            attempt: None,
            claimed_at: Monotonic::now(),
            leases: start.leases,
            ends: Ends::default(),
        };
        let bare = context.idle.powers();
        let claim = Claim {
            holder: &context.node.incarnation,
            node_name: &context.node.name,
            gpus: &start.gpus,
            device_count: running.leases.len() as u32,
            lease: context.node.lease,
        };
        // Entered before the claim, so that the heartbeat never sees a claim without a run.
        self.0.running.insert(id, running.clone());
        let claimed = match context.resources.store.claim(id, &claim, clock::wall_now()).await {
            Ok(Some(claimed)) => claimed,
            other => {
                self.0.running.remove(id);
                return other.map(|_| false);
            }
        };
        self.0.running.claimed(id, claimed.attempt);
        context.idle.work_begins();
        let (attempt, claimed_at, ends) = (claimed.attempt, running.claimed_at, running.ends);
        tracing::info!(experiment = %id, attempt, gpus = start.gpus.join(" "), "started");
        let (scheduler, locks) = (self.clone(), Arc::new(locks));
        tokio::spawn(async move {
            let release = Release {
                scheduler,
                id,
                ended: ends.ended.clone(),
                locks: Some(locks.clone()),
            };
            if let Ok(record) = &claimed.record {
                release.scheduler.note_queue_wait(record);
            }
            let run = |record: Record| Run {
                trace: release.scheduler.trace(&record, claimed_at),
                context: release.scheduler.0.context.clone(),
                record,
                attempt,
                bare,
                claimed_at,
                locks,
                ends,
                server_stopping: release.scheduler.0.stages.stopping.clone(),
            };
            match claimed.record {
                Ok(record) => release.scheduler.supervise(run(record)).await,
                // Another attempt could not read the document either.
                Err(error) => release.scheduler.fail(id, attempt, error.to_string()).await,
            }
        });
        Ok(true)
    }

    fn trace(&self, record: &Record, claimed_at: Monotonic) -> ExperimentTrace {
        self.0.context.resources.traces.experiment(TraceStart {
            id: record.id,
            attempt: record.attempt,
            model_name: &record.spec.model_name,
            arrival: &record.arrival,
            queued_at: (record.attempt == 1).then_some(record.created_at),
            claimed_at,
        })
    }

    fn note_queue_wait(&self, record: &Record) {
        let waited = record
            .started_at
            .map(|started| started.duration_since(record.created_at));
        // The clocks of two hosts may differ.
        let waited_sec = waited.map_or(0.0, |waited| waited.as_secs_f64().max(0.0));
        self.0.context.metrics.queue_wait_sec.observe(waited_sec);
    }

    /// Runs an attempt. When the run panics, fails the experiment, which would otherwise count as running while the
    /// server lives.
    async fn supervise(&self, run: Run) {
        let (id, attempt) = (run.record.id, run.attempt);
        let request_id = run.record.arrival.request_id.as_deref();
        let span = tracing::info_span!("experiment", %id, attempt, request_id);
        if let Err(panic) = tokio::spawn(crash_note::working_on(id, run.finish().instrument(span))).await {
            tracing::error!(experiment = %id, error = %panic, "the run panicked");
            let message = "the server failed while it ran the experiment; see its log, under the experiment's id";
            self.fail(id, attempt, message.to_owned()).await;
        }
    }

    async fn fail(&self, id: ExperimentId, attempt: u32, message: String) {
        let failure = Failure::of_server(FailureReason::ServerError, message);
        let quoted = self.0.context.log_worker_output.then_some(failure.message.as_str());
        // The message of a panic, or about a document that cannot be read, may quote a prompt.
        tracing::error!(experiment = %id, said = quoted, "the server itself failed in running the experiment");
        let store = &self.0.context.resources.store;
        match store.fail(id, attempt, &failure, clock::wall_now()).await {
            Ok(()) => {
                self.count_finished(State::Failed, 1);
                self.count_failed(failure.reason, 1);
            }
            Err(error) => {
                tracing::error!(experiment = %id, %error, "the failure cannot be stored; the experiment is run again");
            }
        }
    }

    /// Counts experiments that ended without a run to the end on this server.
    pub(super) fn count_finished(&self, state: State, count: usize) {
        let finished = &self.0.context.metrics.finished;
        finished
            .get_or_create(&[("state", state.as_str())])
            .inc_by(count as u64);
    }

    /// Counts failed experiments by reason.
    pub(super) fn count_failed(&self, reason: FailureReason, count: usize) {
        let failed = &self.0.context.metrics.failed;
        failed
            .get_or_create(&[("reason", reason.as_str())])
            .inc_by(count as u64);
    }

    async fn drained(&self) {
        for running in self.0.running.all().into_values() {
            running.ends.ended.cancelled().await;
        }
    }
}

fn outcome(started: Vec<ExperimentId>) -> Outcome {
    match started.is_empty() {
        true => Outcome::Idle,
        false => Outcome::Started(started),
    }
}

/// Guard that frees the devices however the run ends, also after a panic.
struct Release {
    scheduler: Scheduler,
    id: ExperimentId,
    ended: CancellationToken,
    locks: Option<Arc<Locks>>,
}

impl Drop for Release {
    fn drop(&mut self) {
        let shared = &self.scheduler.0;
        // First, since the round that is woken below must find the devices free.
        self.locks = None;
        if shared.running.remove(self.id) {
            shared.context.idle.work_ended(Monotonic::now());
        }
        shared.past_runs.clear();
        self.ended.cancel();
        self.scheduler.wake();
    }
}
