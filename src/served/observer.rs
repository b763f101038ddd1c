//! Collects the metrics that a server reports about itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use joulemark_measurement::{ServerReport, ServerTimings, ServerUsage};
use joulemark_openai::{Client, ServerMetrics, ServerTimings as Said, server_metrics};
use tokio::task::AbortHandle;

/// Period at which the server's metrics page is read. A reading takes the server a millisecond or two.
const PERIOD: Duration = Duration::from_millis(500);

/// Timeout of reading the page.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Collects the values that a server reports about itself during a cycle.
#[derive(Debug, Default)]
pub struct Observer(Mutex<Cycle>);

#[derive(Debug, Default)]
struct Cycle {
    page: Option<Page>,
    timings: Option<ServerTimings>,
}

/// The metrics page of a server that has one.
#[derive(Debug)]
struct Page {
    /// Values before the cycle.
    before: ServerMetrics,
    within: Arc<Mutex<Within>>,
    reading: AbortHandle,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Observer {
    /// Starts a cycle: reads the metrics page, and continues in the background when the server has one.
    pub async fn begin(&self, client: &Client) {
        let page = server_metrics(client, TIMEOUT).await.ok().map(|before| {
            let within = Arc::<Mutex<Within>>::default();
            let reading = tokio::spawn(read_on(client.clone(), within.clone()));
            Page {
                before,
                within,
                reading: reading.abort_handle(),
            }
        });
        *lock(&self.0) = Cycle { page, timings: None };
    }

    /// Adds the timings that an answer reports.
    pub fn note(&self, said: &Said) {
        let mut cycle = lock(&self.0);
        let sum = cycle.timings.get_or_insert_default();
        let count = |tokens: Option<u32>| u64::from(tokens.unwrap_or(0));
        sum.answers += 1;
        sum.cached_tokens += count(said.cached_tokens);
        sum.prompt_tokens += count(said.prompt_tokens);
        sum.prompt_ms += said.prompt_ms.unwrap_or(0.0);
        sum.predicted_tokens += count(said.predicted_tokens);
        sum.predicted_ms += said.predicted_ms.unwrap_or(0.0);
        sum.draft_tokens += count(said.draft_tokens);
        sum.accepted_draft_tokens += count(said.accepted_draft_tokens);
    }

    /// Ends the cycle and returns its report.
    pub async fn end(&self, client: &Client) -> ServerReport {
        let Cycle { page, timings } = std::mem::take(&mut *lock(&self.0));
        let Some(page) = page else {
            return ServerReport { usage: None, timings };
        };
        page.reading.abort();
        let after = server_metrics(client, TIMEOUT).await.ok();
        let counted = after.map(|after| after.since(page.before)).unwrap_or_default();
        let within = lock(&page.within);
        let usage = Some(ServerUsage {
            samples: within.samples,
            mean_running: within.running.mean(),
            max_running: within.running.max(),
            mean_waiting: within.waiting.mean(),
            max_waiting: within.waiting.max(),
            mean_kv_cache_usage: within.kv_cache_usage.mean(),
            max_kv_cache_usage: within.kv_cache_usage.max(),
            preemptions: counted.preemptions,
            prefix_cache_hits: counted.prefix_cache_hits,
            prefix_cache_queries: counted.prefix_cache_queries,
        });
        ServerReport { usage, timings }
    }
}

/// Gauges that were read within a cycle.
#[derive(Debug, Default)]
struct Within {
    samples: u32,
    running: Level,
    waiting: Level,
    kv_cache_usage: Level,
}

#[derive(Debug, Default)]
struct Level {
    count: u32,
    sum: f64,
    most: f64,
}

impl Level {
    fn note(&mut self, value: Option<f64>) {
        let Some(value) = value else { return };
        self.count += 1;
        self.sum += value;
        self.most = self.most.max(value);
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.most)
    }
}

async fn read_on(client: Client, within: Arc<Mutex<Within>>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is immediate, before there are requests.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Ok(read) = server_metrics(&client, TIMEOUT).await else {
            continue;
        };
        let mut within = lock(&within);
        within.samples += 1;
        within.running.note(read.running);
        within.waiting.note(read.waiting);
        within.kv_cache_usage.note(read.kv_cache_usage);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
