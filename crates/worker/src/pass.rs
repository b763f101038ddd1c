//! One pass of a rank over its requests: which are running, which wait, and since when. Owns their order and times; how
//! one is answered is left to the runner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use joulemark_experiment::Spec;
use joulemark_measurement::FailedRequest;
use joulemark_measurement::clock::Monotonic;
use tokio::sync::mpsc;

use super::arrivals::Schedule;
use super::runner::{Outcome, Runner};
use super::together::begin_together;
use crate::inference::EngineError;

/// A flag that is set while a rank waits for its next request to be due, so that silence does not count as a stall.
#[derive(Clone, Debug, Default)]
pub struct Idle(Arc<AtomicBool>);

impl Idle {
    /// Returns whether the rank is waiting.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, is_idle: bool) {
        self.0.store(is_idle, Ordering::Relaxed);
    }
}

/// A request that has become due, and how late the sender was.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    due: Monotonic,
    lag_sec: f64,
}

impl Arrival {
    fn now(due: Monotonic) -> Self {
        let lag_sec = Monotonic::now().sec_since(due).max(0.0);
        Self { due, lag_sec }
    }
}

/// Runs `prompts` with `concurrency` requests in flight. A runner that does not take all of them gets at most
/// `batch_size`, continuously or in waves. Each prompt is generated when its turn comes. Returns the results in the
/// order of the prompts.
///
/// # Errors
/// Returns the [`EngineError`] of the first request that fails the experiment.
pub async fn closed<R: Runner>(
    runner: &R,
    spec: &Spec,
    concurrency: usize,
    mut prompts: impl Iterator<Item = R::Prompt>,
) -> Result<Vec<Outcome>, EngineError> {
    let at_once = match R::TAKES_ALL {
        true => concurrency,
        false => spec.batch_size as usize,
    };
    let mut waiting = VecDeque::new();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    loop {
        while waiting.len() + running.len() < concurrency
            && let Some(prompt) = prompts.next()
        {
            let arrival = spec.load.as_ref().map(|_| Arrival::now(Monotonic::now()));
            waiting.push_back((prompt, arrival));
        }
        let takes_more = running.is_empty() || !R::IN_WAVES;
        let held = match R::IN_WAVES && takes_more && at_once > 1 {
            true => Some(runner.hold().await),
            false => None,
        };
        while takes_more
            && running.len() < at_once
            && let Some((prompt, arrival)) = waiting.pop_front()
        {
            running.push(run(runner, prompt, arrival));
        }
        match begin_together(held, running.next()).await {
            Some(outcome) => results.push(outcome?),
            None => break,
        }
    }
    results.sort_by_key(|outcome| match outcome {
        Outcome::Measured(request) => request.prompt_index,
        Outcome::Failed(request) => request.prompt_index,
    });
    Ok(results)
}

/// Runs a request at each time of `schedule`, counted from `start`, with the rank's prompts in order, beginning again
/// when they are used up. Requests that the engine cannot take yet wait in order of arrival. Returns the results in
/// that order.
///
/// # Errors
/// Returns the [`EngineError`] of the first request that fails the experiment.
pub async fn when_due<R: Runner>(
    runner: &R,
    spec: &Spec,
    (start, schedule): (Monotonic, Schedule),
    idle: &Idle,
) -> Result<Vec<Outcome>, EngineError> {
    let at_once = match R::TAKES_ALL {
        true => usize::MAX,
        false => spec.batch_size as usize,
    };
    let mut prompts = std::iter::repeat(runner).flat_map(R::prompts);
    let mut arrivals = send_when_due(start, schedule);
    let mut waiting = VecDeque::new();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    let mut taken = 0_usize;
    loop {
        while running.len() < at_once
            && let Some(arrival) = waiting.pop_front()
            && let Some(prompt) = prompts.next()
        {
            let (number, answer) = (taken, run(runner, prompt, Some(arrival)));
            running.push(async move { (number, answer.await) });
            taken += 1;
        }
        idle.set(running.is_empty());
        tokio::select! {
            biased;
            Some(due) = arrivals.recv() => waiting.push_back(Arrival::now(due)),
            Some((number, outcome)) = running.next(), if !running.is_empty() => results.push((number, outcome?)),
            else => break,
        }
    }
    idle.set(false);
    results.sort_by_key(|(number, _)| *number);
    Ok(results.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Runs one request; its latencies are counted from when it was due.
async fn run<R: Runner>(runner: &R, prompt: R::Prompt, arrival: Option<Arrival>) -> Result<Outcome, EngineError> {
    let outcome = runner.run(prompt).await?;
    Ok(match (outcome, arrival) {
        (Outcome::Measured(request), Some(arrival)) => {
            Outcome::Measured(Box::new(request.since(arrival.due, arrival.lag_sec)))
        }
        (Outcome::Failed(request), Some(arrival)) => Outcome::Failed(FailedRequest {
            due_monotonic_sec: Some(arrival.due.as_sec()),
            ..request
        }),
        (outcome, None) => outcome,
    })
}

/// Sends each time when it is due, from a separate thread, because the runtime's timer has a resolution of a
/// millisecond. The channel is closed after the last one.
fn send_when_due(start: Monotonic, schedule: Schedule) -> mpsc::UnboundedReceiver<Monotonic> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let wait_for = move |sec: f64| {
        let due = Monotonic::from_sec(start.as_sec() + sec);
        let left_sec = due.sec_since(Monotonic::now());
        if left_sec > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(left_sec));
        }
        due
    };
    std::thread::spawn(move || {
        for sec in schedule.due_sec {
            if sender.send(wait_for(sec)).is_err() {
                return;
            }
        }
        wait_for(schedule.until_sec);
    });
    receiver
}
