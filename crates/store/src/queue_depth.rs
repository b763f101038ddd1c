//! Counts queued and running experiments, for monitoring.

use sqlx::Row;

use super::record::from_json;
use super::{Store, StoreError};
use joulemark_experiment::{Requirements, State};

/// The number of unfinished experiments of all servers that share the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueueDepth {
    /// Number of experiments in each unfinished state, including states with none.
    pub by_state: Vec<(State, u64)>,
    /// Number of queued experiments by requirements; `None` for experiments that an earlier version queued and that
    /// have no lane yet.
    pub waiting: Vec<(Option<Requirements>, u64)>,
}

impl Store {
    /// Counts unfinished experiments. Reads two indexes and no experiment.
    ///
    /// # Errors
    /// Returns an error when the database fails.
    pub async fn depth(&self) -> Result<QueueDepth, StoreError> {
        let text = "SELECT w.experiments, l.needs FROM (SELECT lane, COUNT(*) AS experiments FROM experiments \
             WHERE state = 'queued' GROUP BY lane) w LEFT JOIN lanes l ON l.lane = w.lane";
        let mut waiting = Vec::new();
        for row in sqlx::query(text).fetch_all(&self.reads).await? {
            let requirements = row.try_get::<Option<&str>, _>("needs")?;
            let requirements = requirements
                .map(|requirements| from_json("the requirements of a lane", requirements))
                .transpose()?;
            waiting.push((requirements, row.try_get::<i64, _>("experiments")?.unsigned_abs()));
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
        Ok(QueueDepth { by_state, waiting })
    }
}
