//! Keeps this node and its experiments alive in the database, hears of what was cancelled or lost elsewhere, and takes
//! over what other servers left behind.

use std::time::Duration;

use crate::scheduler::queue::cluster::Node;
use crate::scheduler::queue::order::first_hour;
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{FailureReason, State};
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_store::{Abandoned, Held, Recovered, Registered, Registration, StoreError};

/// How soon a cancellation or a loss is heard of.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// A lease outlives two heartbeats that fail.
const BEATS_A_LEASE: u32 = 3;
/// Models that were added or taken away are known this soon.
const HOUSE_PERIOD_SEC: f64 = 60.0;
/// A node that was silent for so long is listed no more.
const FORGET_AFTER: Duration = Duration::from_secs(86_400);

/// What the heartbeat remembers.
struct Beats {
    last_beat: Option<Monotonic>,
    /// Since when every look reached the database.
    in_touch_since: Monotonic,
    last_recovery: Option<Monotonic>,
    last_house: Option<Monotonic>,
}

impl Scheduler {
    /// Looks every second until the server has stopped; a database that is away is asked again.
    pub async fn heartbeat(&self) {
        let mut beats = Beats {
            last_beat: None,
            in_touch_since: Monotonic::now(),
            last_recovery: None,
            last_house: None,
        };
        while !self.leaving().is_cancelled() {
            let lease = self.context().node.lease;
            // A connection that hangs must not outlast the lease, nor keep a server that stops.
            let look = tokio::select! {
                look = tokio::time::timeout(lease, self.look(&mut beats)) => look,
                () = self.leaving().cancelled() => return,
            };
            let failure = match look {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("it does not answer".to_owned()),
            };
            if let Some(failure) = failure {
                tracing::warn!("the heartbeat does not reach the database: {failure}; what runs here goes on");
                beats.in_touch_since = Monotonic::now();
                beats.last_beat = None;
            }
            self.liveness().has_kept(Monotonic::now(), beats.last_beat.is_some());
            let period = LOOK_PERIOD.min(lease / BEATS_A_LEASE);
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = self.leaving().cancelled() => {}
            }
        }
    }

    async fn look(&self, beats: &mut Beats) -> Result<(), StoreError> {
        let context = self.context();
        let (store, node) = (&context.resources.store, &context.node);
        let now = Monotonic::now();
        let beat_sec = (node.lease / BEATS_A_LEASE).as_secs_f64();
        let is_due = |last: Option<Monotonic>| last.is_none_or(|last| now.sec_since(last) >= beat_sec);
        let before = self.running().all();
        let held = if is_due(beats.last_beat) {
            self.keep_house_when_due(beats).await?;
            let held = self.beat().await?;
            beats.last_beat = Some(now);
            context.cluster.set_nodes(store.nodes().await?, &node.name);
            held
        } else {
            store.held(&node.incarnation).await?
        };
        for Held { id, attempt, .. } in self.running().reconcile(&held, &before) {
            tracing::warn!(experiment = %id, attempt, "held here and not run: a claim or an end was lost");
            store.abandon(id, attempt, node.max_attempts, clock::wall_now()).await?;
            self.wake();
        }
        // Whoever was out of touch lately cannot tell a dead server from one that could not reach the database either.
        let is_in_touch = now.sec_since(beats.in_touch_since) >= node.lease.as_secs_f64();
        if store.is_shared() && is_in_touch && is_due(beats.last_recovery) {
            beats.last_recovery = Some(now);
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
                "another server has taken this node's name; nothing is started here"
            );
            self.set_listed(false);
        } else {
            self.set_listed(true);
        }
        Ok(beat().await?.unwrap_or(store.held(&node.incarnation).await?))
    }

    /// # Errors
    /// When the database fails.
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

    /// Sends back to the queue what has no server any more.
    ///
    /// # Errors
    /// When the database fails.
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
                "another server, or an earlier one, left experiments behind"
            );
            self.wake();
        }
        Ok(())
    }

    /// Takes this node out of the list, at the end of an orderly stop.
    pub async fn leave(&self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let incarnation = &self.context().node.incarnation;
        let leaving = self.context().resources.store.forget_nodes(incarnation, FORGET_AFTER);
        if !matches!(tokio::time::timeout(PATIENCE, leaving).await, Ok(Ok(()))) {
            tracing::warn!("the database is away: the node stays listed until its lease ends");
        }
    }

    /// Once a minute, at the first heartbeat as well.
    async fn keep_house_when_due(&self, beats: &mut Beats) -> Result<(), StoreError> {
        let is_due = |last: Monotonic| Monotonic::now().sec_since(last) >= HOUSE_PERIOD_SEC;
        if !beats.last_house.is_none_or(is_due) {
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
            tracing::info!(filled_in, "queued by an earlier version, now in the queue of this one");
            self.wake();
        }
        beats.last_house = Some(Monotonic::now());
        Ok(())
    }
}
