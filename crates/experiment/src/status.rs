use std::{fmt, str::FromStr};

use joulemark_measurement::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// State of an experiment.
///
/// - `queued`: accepted and waiting for its devices
/// - `starting`: its devices are leased; workers start and load the model
/// - `warming_up`: warm-up iterations, then the loaded baseline
/// - `measuring`: measured cycles are running
/// - `aggregating`: all cycles are measured; results are being computed and stored
/// - `completed`: the results are available
/// - `failed`: the experiment failed; `failure` explains why
/// - `cancelled`: the submitter or an admin stopped it
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    Starting,
    WarmingUp,
    Measuring,
    Aggregating,
    Completed,
    Failed,
    Cancelled,
}

/// The error for a change of state that is not allowed.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an experiment that is {from} cannot become {to}")]
pub struct IllegalMove {
    pub from: State,
    pub to: State,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Starting,
        Self::WarmingUp,
        Self::Measuring,
        Self::Aggregating,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns whether the state is final.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Returns whether a server is running the experiment.
    pub fn is_running(self) -> bool {
        self != Self::Queued && !self.is_finished()
    }

    /// Returns the state's name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::WarmingUp => "warming_up",
            Self::Measuring => "measuring",
            Self::Aggregating => "aggregating",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns `to` where an experiment may change to it from this state.
    ///
    /// # Errors
    /// Returns [`IllegalMove`] for every other pair; a finished experiment never changes its state again.
    pub fn advance(self, to: Self) -> Result<Self, IllegalMove> {
        let allowed = match (self, to) {
            (from, Self::Failed | Self::Cancelled) => !from.is_finished(),
            // When a server dies, its experiments go back to the queue.
            (from, Self::Queued) => !from.is_finished() && from != Self::Queued,
            (Self::Queued, Self::Starting)
            | (Self::Starting, Self::WarmingUp)
            | (Self::WarmingUp, Self::Measuring)
            | (Self::Measuring, Self::Aggregating) => true,
            // While the database is away a run goes on, so that the stored state may lag behind.
            (from, Self::Completed) => from.is_running(),
            _ => false,
        };
        if allowed {
            Ok(to)
        } else {
            Err(IllegalMove { from: self, to })
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for a text that is not a state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not a state", quoted(.0))]
pub struct NotAState(String);

impl FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| NotAState(text.to_owned()))
    }
}

/// Reason of a failure, for scripts to branch on.
///
/// - `worker_killed`: a signal ended the worker process, such as SIGKILL by the kernel's out-of-memory killer
/// - `worker_exited`: the worker process exited before it had finished
/// - `worker_error`: the worker reported an error, such as a model that does not load
/// - `worker_hung`: the worker reported nothing before its deadline
/// - `interrupted`: the server crashed while it worked on the experiment, as many times as attempts are allowed
/// - `timeout`: the experiment ran longer than the server's limit
/// - `server_error`: the server could not start the worker or handle its result
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    WorkerKilled,
    WorkerExited,
    WorkerError,
    WorkerHung,
    Interrupted,
    Timeout,
    ServerError,
}

impl FailureReason {
    pub const ALL: [Self; 7] = [
        Self::WorkerKilled,
        Self::WorkerExited,
        Self::WorkerError,
        Self::WorkerHung,
        Self::Interrupted,
        Self::Timeout,
        Self::ServerError,
    ];

    /// Returns the reason's name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker_killed",
            Self::WorkerExited => "worker_exited",
            Self::WorkerError => "worker_error",
            Self::WorkerHung => "worker_hung",
            Self::Interrupted => "interrupted",
            Self::Timeout => "timeout",
            Self::ServerError => "server_error",
        }
    }
}

/// The stored description of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub reason: FailureReason,
    /// What happened, in one sentence.
    pub message: String,
    /// Rank of the worker that failed first; null where no worker caused the failure.
    pub rank: Option<u32>,
    /// What the worker was doing, such as `loading the model`; null where no worker caused the failure, and in failures
    /// of earlier versions.
    #[serde(default)]
    pub phase: Option<String>,
    /// Name of the signal that ended the worker, such as `SIGKILL`.
    pub signal: Option<String>,
    /// Exit code of the worker.
    pub exit_code: Option<i32>,
    /// Last lines of the worker's output.
    pub log_tail: Vec<String>,
}

impl Failure {
    /// Returns what readers may see who may not read the prompts: reason, rank and phase. Everything else comes from a
    /// worker or from work on the experiment, and may quote a prompt.
    pub fn without_quotes(&self) -> Self {
        let rank = self.rank.map_or_else(String::new, |rank| format!(" in rank {rank}"));
        let phase = self
            .phase
            .as_ref()
            .map_or_else(String::new, |phase| format!(" while {phase}"));
        let reason = self.reason.as_str();
        Self {
            reason: self.reason,
            message: format!("{reason}{rank}{phase}; details are withheld, as the prompts are"),
            rank: self.rank,
            phase: self.phase.clone(),
            signal: None,
            exit_code: None,
            log_tail: Vec::new(),
        }
    }

    /// Returns a failure that no worker caused.
    pub fn of_server(reason: FailureReason, message: String) -> Self {
        Self {
            reason,
            message,
            rank: None,
            phase: None,
            signal: None,
            exit_code: None,
            log_tail: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_experiment_never_moves_again() {
        for from in State::ALL.into_iter().filter(|state| state.is_finished()) {
            for to in State::ALL {
                assert_eq!(from.advance(to), Err(IllegalMove { from, to }));
            }
        }
    }

    #[test]
    fn the_path_to_completion_has_one_order_and_only_its_end_may_be_reached_early() {
        let path = &State::ALL[..6];
        for (i, &from) in path.iter().enumerate() {
            for (j, &to) in path.iter().enumerate() {
                let requeue = j == 0 && (1..5).contains(&i);
                let completion = j == 5 && (1..5).contains(&i);
                assert_eq!(
                    from.advance(to).is_ok(),
                    j == i + 1 || requeue || completion,
                    "{from} to {to}"
                );
            }
        }
    }

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
