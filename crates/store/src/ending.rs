use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::results::Completion;
use super::timeseries::PreparedTimeseries;
use super::write_metrics::timed;
use super::{Store, StoreError, Timeseries};
use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, Failure, State};
use joulemark_measurement::RankCycle;

/// The end of an attempt, as the rows to be written. It can wait on disk while the database is away, and nothing is
/// computed again later.
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
    /// Cancelled after at least one cycle was finished; holds the results of the finished cycles.
    CancelledWith(Completion),
}

impl Ending {
    /// Returns the end of an attempt that produced all its results.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
    pub fn completed(
        (id, attempt): (ExperimentId, u32),
        report: &Report,
        cycles: &[RankCycle],
        ended_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let completion = Completion::new(report, cycles)?;
        Ok(Self::new((id, attempt), Outcome::Completed(completion), ended_at))
    }

    /// Returns the end of an attempt that failed.
    pub fn failed((id, attempt): (ExperimentId, u32), failure: Failure, ended_at: Timestamp) -> Self {
        Self::new((id, attempt), Outcome::Failed(failure), ended_at)
    }

    /// Returns the end of an attempt that was cancelled before any cycle was finished.
    pub fn cancelled((id, attempt): (ExperimentId, u32), ended_at: Timestamp) -> Self {
        Self::new((id, attempt), Outcome::Cancelled, ended_at)
    }

    /// Returns the end of an attempt that was cancelled, with the results of the cycles finished by then.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
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

    /// Adds the time series of the attempt's devices.
    ///
    /// # Errors
    /// Returns an error when a document cannot be written as JSON.
    pub fn with_timeseries(self, timeseries: &Timeseries) -> Result<Self, StoreError> {
        Ok(Self {
            timeseries: Some(PreparedTimeseries::new(timeseries)?),
            ..self
        })
    }
}

impl Store {
    /// Stores the end of an attempt. Can be repeated: a repeated call finds the work done and succeeds.
    ///
    /// # Errors
    /// Returns [`StoreError::Lost`] when the attempt no longer holds the experiment; nothing is stored then.
    pub async fn settle(&self, ending: &Ending) -> Result<(), StoreError> {
        timed(&self.metrics, "settle", self.write_ending(ending)).await
    }

    async fn write_ending(&self, ending: &Ending) -> Result<(), StoreError> {
        let (held, at) = ((ending.id, ending.attempt), ending.ended_at);
        if let Some(timeseries) = &ending.timeseries {
            match self.store_timeseries(held, timeseries, at).await {
                Err(error) if error.is_retryable() => return Err(error),
                // A lost attempt, or one ended by an earlier call, is reported when the end itself is written below.
                Err(error) if !error.is_lost() => {
                    tracing::warn!(experiment = %ending.id, %error, "the time series of the devices cannot be stored");
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

    /// Makes the transitions that could not be stored when they happened, up to `Aggregating`.
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
