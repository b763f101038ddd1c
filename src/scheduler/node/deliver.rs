//! Delivers callbacks: HTTP requests that report the end of an experiment, retried on failure.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::task::{self, JoinSet};
use uuid::Uuid;

use crate::callback::{Answer, Delivery, Poster, Schedule};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock;
use joulemark_store::{CallsUnderWay, DueCallback, Store, StoreError, Tried};

const POLL_PERIOD: Duration = Duration::from_secs(1);
/// Maximum number of calls that this server makes at the same time.
const MAX_AT_ONCE: usize = 64;
/// Maximum number of concurrent calls for each submitter and each host: one that hangs takes the whole timeout every
/// time.
const MAX_PER_PEER: usize = 4;
/// Time for which a call is leased to this server: longer than one try and the storing of its outcome can take.
const LEASE: Duration = Duration::from_secs(120);

/// How callbacks are made. Exists only where the configuration allows callbacks.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pub poster: Poster,
    pub schedule: Schedule,
}

/// Body of a callback: enough to fetch the rest.
#[derive(Debug, Serialize)]
struct Notice {
    delivery_id: Uuid,
    event: &'static str,
    id: ExperimentId,
    state: State,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    links: Links,
}

#[derive(Debug, Serialize)]
struct Links {
    experiment: String,
    /// Null unless the experiment has completed.
    results: Option<String>,
}

impl Notice {
    fn new(due: &DueCallback) -> Self {
        let experiment = format!("{}/v1/experiments/{}", due.link_base, due.id);
        let results = (due.state == State::Completed).then(|| format!("{experiment}/results"));
        Self {
            delivery_id: due.delivery_id,
            event: "experiment.finished",
            id: due.id,
            state: due.state,
            created_at: due.created_at,
            started_at: due.started_at,
            finished_at: due.finished_at,
            links: Links { experiment, results },
        }
    }
}

impl Scheduler {
    /// Delivers callbacks until the server stops. Another server, or the next start, repeats calls that were in
    /// progress.
    pub async fn deliver(&self, deliveries: &Deliveries) {
        let store = &self.context().resources.store;
        let mut moved = store.hear_moves();
        let mut calls = Calls::new();
        while !self.leaving().is_cancelled() {
            let free = MAX_AT_ONCE - calls.running.len();
            match store.claim_callbacks(&calls.under_way, free, LEASE).await {
                Ok(due) => {
                    for due in due {
                        calls.begin(store, deliveries, due);
                    }
                }
                Err(error) => tracing::warn!(%error, "the callbacks that are due cannot be read; trying again"),
            }
            let is_full = calls.running.len() == MAX_AT_ONCE;
            tokio::select! {
                _ = moved.changed(), if !is_full => {}
                () = calls.one_ended(), if !calls.running.is_empty() => {}
                () = tokio::time::sleep(POLL_PERIOD) => {}
                () = self.leaving().cancelled() => {}
            }
        }
    }
}

/// The calls in progress, each with its submitter and host.
struct Calls {
    running: JoinSet<()>,
    whose: HashMap<task::Id, (String, String)>,
    under_way: CallsUnderWay,
}

impl Calls {
    fn new() -> Self {
        Self {
            running: JoinSet::new(),
            whose: HashMap::new(),
            under_way: CallsUnderWay::new(MAX_PER_PEER),
        }
    }

    fn begin(&mut self, store: &Store, deliveries: &Deliveries, due: DueCallback) {
        let (submitter, host) = (due.submitter.clone(), due.host.clone());
        self.under_way.begin(&submitter, &host);
        let started = self.running.spawn(call(store.clone(), deliveries.clone(), due));
        self.whose.insert(started.id(), (submitter, host));
    }

    /// Waits until a call has ended, whether it succeeded or panicked.
    async fn one_ended(&mut self) {
        let ended = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        if let Some((submitter, host)) = self.whose.remove(&ended) {
            self.under_way.end(&submitter, &host);
        }
    }
}

async fn call(store: Store, deliveries: Deliveries, due: DueCallback) {
    let (id, attempt) = (due.id, due.attempt);
    let body = match serde_json::to_vec(&Notice::new(&due)) {
        Ok(body) => body,
        Err(error) => return tracing::error!(experiment = %id, %error, "the callback cannot be serialized"),
    };
    let delivery = Delivery {
        url: due.url,
        id: due.delivery_id,
        attempt,
        body,
    };
    let answer = deliveries.poster.post(&delivery, clock::wall_now()).await;
    let reason = answer.reason.clone();
    let tried = tried(answer, attempt, deliveries.schedule);
    match reason.as_ref().or(tried.error.as_ref()) {
        None => tracing::info!(experiment = %id, attempt, "the callback was delivered"),
        Some(error) => {
            tracing::warn!(experiment = %id, attempt, again_after_sec = tried.again_after.map(|wait| wait.as_secs()), "the callback failed: {error}");
        }
    }
    if let Err(error) = settled(&store, id, attempt, &tried).await {
        tracing::error!(experiment = %id, attempt, %error, "the outcome of the callback cannot be stored; the call is repeated");
    }
}

fn tried(answer: Answer, attempt: u32, schedule: Schedule) -> Tried {
    let wants_more = answer.error.is_some() && !answer.is_gone;
    Tried {
        status: answer.status,
        error: answer.error,
        again_after: schedule.pause(attempt, rand::random()).filter(|_| wants_more),
    }
}

/// Stores the outcome of a call, with retries within half of its lease: an outcome that is not stored means another
/// call.
async fn settled(store: &Store, id: ExperimentId, attempt: u32, tried: &Tried) -> Result<(), StoreError> {
    let storing = super::persist::persist(|| store.settle_callback(id, attempt, tried, clock::wall_now()));
    match tokio::time::timeout(LEASE / 2, storing).await {
        Ok(outcome) => outcome,
        Err(_) => store.settle_callback(id, attempt, tried, clock::wall_now()).await,
    }
}
