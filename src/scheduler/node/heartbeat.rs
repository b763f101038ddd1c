//! Renews the leases of this node and its experiments in the database, notices which experiments were cancelled or lost
//! elsewhere, and recovers those that dead servers left behind.

use std::time::Duration;

use crate::scheduler::queue::cluster::Node;
use crate::scheduler::queue::order::first_hour;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{FailureReason, State};
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::{Abandoned, Held, Recovered, Registered, Registration, StoreError};

/// Period at which the database is checked for cancellations and lost leases.
const PERIOD: Duration = Duration::from_secs(1);
/// Heartbeats per lease: a lease outlives two failed heartbeats.
const BEATS_PER_LEASE: u32 = 3;
/// Period in seconds of the housekeeping, after which added and removed models are known.
const HOUSEKEEPING_PERIOD_SEC: f64 = 60.0;
/// Time of silence after which a node is no longer listed.
const FORGET_AFTER: Duration = Duration::from_secs(86_400);

/// State of the heartbeat between two rounds.
struct HeartbeatState {
    last_beat: Option<Monotonic>,
    /// Time since which every round has reached the database.
    connected_since: Monotonic,
    last_recovery: Option<Monotonic>,
    last_housekeeping: Option<Monotonic>,
}

impl Scheduler {
    /// Sends heartbeats until the server has stopped. Retries when the database cannot be reached.
    pub async fn heartbeat(&self) {
        let mut state = HeartbeatState {
            last_beat: None,
            connected_since: Monotonic::now(),
            last_recovery: None,
            last_housekeeping: None,
        };
        while !self.leaving().is_cancelled() {
            let lease = self.context().node.lease;
            // A hanging connection must not outlast the lease, nor delay a shutdown.
            let round = tokio::select! {
                round = tokio::time::timeout(lease, self.round(&mut state)) => round,
                () = self.leaving().cancelled() => return,
            };
            let failure = match round {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it does not answer".to_owned()),
            };
            if let Some(failure) = failure {
                tracing::warn!("the heartbeat does not reach the database: {failure}; running experiments continue");
                state.connected_since = Monotonic::now();
                state.last_beat = None;
            }
            self.liveness()
                .heartbeat_done(Monotonic::now(), state.last_beat.is_some());
            let period = PERIOD.min(lease / BEATS_PER_LEASE);
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = self.leaving().cancelled() => {}
            }
        }
    }

    async fn round(&self, state: &mut HeartbeatState) -> Result<(), StoreError> {
        let context = self.context();
        let (store, node) = (&context.resources.store, &context.node);
        let now = Monotonic::now();
        let beat_sec = (node.lease / BEATS_PER_LEASE).as_secs_f64();
        let is_due = |last: Option<Monotonic>| last.is_none_or(|last| now.sec_since(last) >= beat_sec);
        let before = self.running().all();
        let held = if is_due(state.last_beat) {
            self.housekeeping_when_due(state).await?;
            let held = self.beat().await?;
            state.last_beat = Some(now);
            context.cluster.set_nodes(store.nodes().await?, &node.name);
            held
        } else {
            store.held(&node.incarnation).await?
        };
        for Held { id, attempt, .. } in self.running().reconcile(&held, &before) {
            tracing::warn!(experiment = %id, attempt, "leased here but not running: a claim or an end was lost");
            store.abandon(id, attempt, node.max_attempts, clock::wall_now()).await?;
            self.wake();
        }
        // A server that was itself cut off cannot tell whether another one is dead or was cut off too.
        let is_connected = now.sec_since(state.connected_since) >= node.lease.as_secs_f64();
        if store.is_shared() && is_connected && is_due(state.last_recovery) {
            state.last_recovery = Some(now);
            self.recover(Abandoned::Expired).await?;
        }
        Ok(())
    }

    async fn beat(&self) -> Result<Vec<Held>, StoreError> {
        let context = self.context();
        let (store, node) = (&context.resources.store, &context.node);
        let beat = || async {
            let capabilities = context.cluster.own();
            store
                .beat(&node.name, &node.incarnation, &capabilities, node.lease)
                .await
        };
        if let Some(held) = beat().await? {
            return Ok(held);
        }
        if let Registered::Taken { .. } = self.register().await? {
            tracing::error!(
                node = node.name,
                "another server has taken this node's name; no experiment is started here"
            );
            self.set_listed(false);
        } else {
            self.set_listed(true);
        }
        Ok(beat().await?.unwrap_or(store.held(&node.incarnation).await?))
    }

    /// Registers this node in the database.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn register(&self) -> Result<Registered, StoreError> {
        let Node {
            name,
            incarnation,
            seat,
            lease,
            ..
        } = &*self.context().node;
        let registration = Registration {
            name,
            incarnation,
            seat,
            capabilities: &self.context().cluster.own(),
            lease: *lease,
        };
        self.context().resources.store.register(&registration).await
    }

    /// Puts experiments whose server is gone back into the queue, or fails those without attempts left.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn recover(&self, whose: Abandoned<'_>) -> Result<(), StoreError> {
        let node = &self.context().node;
        let store = &self.context().resources.store;
        let recovered = store
            .recover(whose, &node.incarnation, node.max_attempts, clock::wall_now())
            .await?;
        self.count_finished(State::Failed, recovered.failed);
        self.count_failed(FailureReason::Interrupted, recovered.failed);
        self.count_finished(State::Cancelled, recovered.cancelled);
        if recovered != Recovered::default() {
            tracing::warn!(
                requeued = recovered.requeued,
                failed = recovered.failed,
                cancelled = recovered.cancelled,
                "recovered experiments that another or an earlier server left behind"
            );
            self.wake();
        }
        Ok(())
    }

    /// Removes this node from the list, at the end of a graceful shutdown.
    pub async fn leave(&self) {
        const TIMEOUT: Duration = Duration::from_secs(5);
        let incarnation = &self.context().node.incarnation;
        let leaving = self.context().resources.store.forget_nodes(incarnation, FORGET_AFTER);
        if !matches!(tokio::time::timeout(TIMEOUT, leaving).await, Ok(Ok(()))) {
            tracing::warn!("the database cannot be reached: the node stays listed until its lease ends");
        }
    }

    /// Does the housekeeping once a minute, and at the first heartbeat.
    async fn housekeeping_when_due(&self, state: &mut HeartbeatState) -> Result<(), StoreError> {
        let is_due = |last: Monotonic| Monotonic::now().sec_since(last) >= HOUSEKEEPING_PERIOD_SEC;
        if !state.last_housekeeping.is_none_or(is_due) {
            return Ok(());
        }
        let (context, now) = (self.context(), clock::wall_now());
        let (known, folder) = (context.resources.models.clone(), context.prompts.clone());
        if let Ok((models, prompt_files)) = tokio::task::spawn_blocking(move || (known.offered(), folder.names())).await
        {
            let mut capabilities = (*context.cluster.own()).clone();
            capabilities.models = models;
            capabilities.prompt_files = prompt_files;
            context.cluster.set_own(capabilities);
        }
        self.look_for_engines().await;
        context.resources.store.forget_device_time(first_hour(now)).await?;
        context.resources.store.forget_nodes("", FORGET_AFTER).await?;
        let filled_in = context.resources.store.fill_in_lanes(now).await?;
        if filled_in > 0 {
            tracing::info!(
                filled_in,
                "moved experiments that an earlier version had queued into this version's queue"
            );
            self.wake();
        }
        state.last_housekeeping = Some(Monotonic::now());
        Ok(())
    }
}
