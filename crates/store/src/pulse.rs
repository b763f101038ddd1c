//! How the database does, for those who watch the service: how long writes take, and how much waits and runs.

use sqlx::Row;

use super::record::from_json;
use super::{Store, StoreError};
use crate::metrics::StoreMetrics;
use joulemark_experiment::{Needs, State};
use joulemark_measurement::clock::Monotonic;

/// What is unfinished, of all servers that share the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Depth {
    /// Every unfinished state, with how many are in it.
    pub by_state: Vec<(State, u64)>,
    /// What waits, by what it needs; no needs for what an earlier version queued and this one has not yet looked at.
    pub waiting: Vec<(Option<Needs>, u64)>,
}

/// Waits for a write and notes how long it took.
pub(super) async fn timed<T>(
    metrics: &StoreMetrics,
    operation: &'static str,
    write: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let start = Monotonic::now();
    let outcome = write.await;
    let label = [("operation", operation)];
    let took_sec = Monotonic::now().sec_since(start);
    metrics.write_sec.get_or_create(&label).observe(took_sec);
    // What was lost to another attempt was answered well.
    if outcome.as_ref().is_err_and(|error| !error.is_lost()) {
        metrics.write_failures.get_or_create(&label).inc();
    }
    outcome
}

impl Store {
    pub fn metrics(&self) -> &StoreMetrics {
        &self.metrics
    }

    /// Reads two indices over what is unfinished, and no experiment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn depth(&self) -> Result<Depth, StoreError> {
        let text = "SELECT w.experiments, l.needs FROM (SELECT lane, COUNT(*) AS experiments FROM experiments \
             WHERE state = 'queued' GROUP BY lane) w LEFT JOIN lanes l ON l.lane = w.lane";
        let mut waiting = Vec::new();
        for row in sqlx::query(text).fetch_all(&self.reads).await? {
            let needs = row.try_get::<Option<&str>, _>("needs")?;
            let needs = needs.map(|needs| from_json("the needs of a lane", needs)).transpose()?;
            waiting.push((needs, row.try_get::<i64, _>("experiments")?.unsigned_abs()));
        }
        let queued = waiting.iter().map(|(_, count)| count).sum();
        let mut by_state = vec![(State::Queued, queued)];
        let running = [State::Starting, State::WarmingUp, State::Measuring, State::Aggregating];
        by_state.extend(running.map(|state| (state, 0)));
        let text = "SELECT state, COUNT(*) AS experiments FROM experiments \
             WHERE state IN ('starting', 'warming_up', 'measuring', 'aggregating') GROUP BY state";
        for row in sqlx::query(text).fetch_all(&self.reads).await? {
            let state = super::record::state(&row)?;
            let count = row.try_get::<i64, _>("experiments")?.unsigned_abs();
            by_state
                .iter_mut()
                .filter(|(of, _)| *of == state)
                .for_each(|found| found.1 = count);
        }
        Ok(Depth { by_state, waiting })
    }
}
