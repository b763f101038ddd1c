//! Tells those who asked to be told that an experiment is finished, and goes on trying.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::callback::{Answer, Delivery, Poster, Schedule};
use crate::scheduler::step::Scheduler;
use joulemark_experiment::{ExperimentId, State};
use joulemark_measurement::clock;
use joulemark_store::{DueCallback, Store, StoreError, Tried};

const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// At the same time, by this server.
const MAX_AT_ONCE: usize = 16;
/// Longer than a try and the storing of its outcome can take.
const LEASE: Duration = Duration::from_secs(120);

/// How callbacks are made, where the admin allows any.
#[derive(Clone, Debug)]
pub struct Deliveries {
    pub poster: Poster,
    pub schedule: Schedule,
}

/// The body of a callback: enough to fetch the rest.
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
    /// Null unless there are any.
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
    /// Until the server stops. What is under way then is made again by the next one.
    pub async fn deliver(&self, deliveries: &Deliveries) {
        let store = &self.context().resources.store;
        let mut moved = store.hear_moves();
        let mut calls = JoinSet::new();
        while !self.leaving().is_cancelled() {
            let free = MAX_AT_ONCE - calls.len();
            match store.claim_callbacks(free as u32, LEASE).await {
                Ok(due) => {
                    for due in due {
                        calls.spawn(call(store.clone(), deliveries.clone(), due));
                    }
                }
                Err(error) => tracing::warn!(%error, "callbacks that are due cannot be read; trying again"),
            }
            let is_full = calls.len() == MAX_AT_ONCE;
            tokio::select! {
                _ = moved.changed(), if !is_full => {}
                Some(_) = calls.join_next(), if !calls.is_empty() => {}
                () = tokio::time::sleep(LOOK_PERIOD) => {}
                () = self.leaving().cancelled() => {}
            }
        }
    }
}

async fn call(store: Store, deliveries: Deliveries, due: DueCallback) {
    let (id, attempt) = (due.id, due.attempt);
    let body = match serde_json::to_vec(&Notice::new(&due)) {
        Ok(body) => body,
        Err(error) => return tracing::error!(experiment = %id, %error, "a callback cannot be written"),
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
        None => tracing::info!(experiment = %id, attempt, "called back"),
        Some(error) => {
            tracing::warn!(experiment = %id, attempt, again_after_sec = tried.again_after.map(|wait| wait.as_secs()), "not called back: {error}");
        }
    }
    if let Err(error) = settled(&store, id, attempt, &tried).await {
        tracing::error!(experiment = %id, attempt, %error, "a callback's outcome cannot be stored; it is made again");
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

/// Several times, while it is this server's turn: an outcome that is not stored means another call.
async fn settled(store: &Store, id: ExperimentId, attempt: u32, tried: &Tried) -> Result<(), StoreError> {
    let storing = super::persist::persist(|| store.settle_callback(id, attempt, tried, clock::wall_now()));
    match tokio::time::timeout(LEASE / 2, storing).await {
        Ok(outcome) => outcome,
        Err(_) => store.settle_callback(id, attempt, tried, clock::wall_now()).await,
    }
}
