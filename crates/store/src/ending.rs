use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::results::Completion;
use super::timeseries::PreparedTimeseries;
use super::write_metrics::timed;
use super::{Store, StoreError, Timeseries};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, Failure, State};
use joulemark_measurement::RankCycle;

/// How an attempt ended, as the rows that it becomes: what waits on disk for the database is what would have been
/// written at once, and is not computed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    pub id: ExperimentId,
    pub attempt: u32,
    ended_at: Timestamp,
    outcome: Outcome,
    timeseries: Option<PreparedTimeseries>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outcome {
    Completed(Completion),
    Failed(Failure),
    Cancelled,
    /// With the results of the cycles that were finished by then.
    CancelledWith(Completion),
}

impl Ending {
    /// # Errors
    /// When a document cannot be written as JSON.
    pub fn completed(
        (id, attempt): (ExperimentId, u32),
        report: &Report,
        cycles: &[RankCycle],
        ended_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let completion = Completion::new(report, cycles)?;
        Ok(Self::new((id, attempt), Outcome::Completed(completion), ended_at))
    }

    pub fn failed((id, attempt): (ExperimentId, u32), failure: Failure, ended_at: Timestamp) -> Self {
        Self::new((id, attempt), Outcome::Failed(failure), ended_at)
    }

    pub fn cancelled((id, attempt): (ExperimentId, u32), ended_at: Timestamp) -> Self {
        Self::new((id, attempt), Outcome::Cancelled, ended_at)
    }

    /// With the results of the cycles that were finished before the cancel.
    ///
    /// # Errors
    /// When a document cannot be written as JSON.
    pub fn cancelled_with(
        (id, attempt): (ExperimentId, u32),
        report: &Report,
        cycles: &[RankCycle],
        ended_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let completion = Completion::new(report, cycles)?;
        Ok(Self::new((id, attempt), Outcome::CancelledWith(completion), ended_at))
    }

    fn new((id, attempt): (ExperimentId, u32), outcome: Outcome, ended_at: Timestamp) -> Self {
        Self {
            id,
            attempt,
            ended_at,
            outcome,
            timeseries: None,
        }
    }

    /// Together with the attempt's devices over time.
    ///
    /// # Errors
    /// When a document cannot be written as JSON.
    pub fn with_timeseries(self, timeseries: &Timeseries) -> Result<Self, StoreError> {
        Ok(Self {
            timeseries: Some(PreparedTimeseries::new(timeseries)?),
            ..self
        })
    }
}

impl Store {
    /// Stores how an attempt ended. May be repeated: it then finds its work done.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the attempt no longer holds the experiment; nothing is stored then.
    pub async fn settle(&self, ending: &Ending) -> Result<(), StoreError> {
        timed(&self.metrics, "settle", self.write_ending(ending)).await
    }

    async fn write_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let (held, at) = ((ending.id, ending.attempt), ending.ended_at);
        if let Some(timeseries) = &ending.timeseries {
            match self.keep_timeseries_with(held, timeseries, at).await {
                Err(error) if error.is_retryable() => return Err(error),
                // Whether it was lost, or ended by an earlier call, is for the end itself to tell.
                Err(error) if !error.is_lost() => {
                    tracing::warn!(experiment = %ending.id, %error, "the devices' series cannot be stored");
                }
                _ => {}
            }
        }
        match &ending.outcome {
            Outcome::Completed(completion) => {
                self.catch_up(held, at).await?;
                self.end_with(held, (State::Completed, completion), at).await
            }
            Outcome::CancelledWith(completion) => self.end_with(held, (State::Cancelled, completion), at).await,
            Outcome::Failed(failure) => self.fail(ending.id, ending.attempt, failure, at).await,
            Outcome::Cancelled => self.finish_cancelled(ending.id, ending.attempt, at).await,
        }
    }

    /// Through the states that could not be stored when they were reached.
    async fn catch_up(&self, (id, attempt): (ExperimentId, u32), at: Timestamp) -> Result<(), StoreError> {
        let record = self.get(id).await?.ok_or(StoreError::NotFound(id))?;
        let path = [State::Starting, State::WarmingUp, State::Measuring, State::Aggregating];
        let reached = path.iter().position(|state| *state == record.state);
        for state in reached.map_or(&[][..], |reached| &path[reached + 1..]) {
            self.advance(id, attempt, *state, at).await?;
        }
        Ok(())
    }
}
