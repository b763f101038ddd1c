use std::{fmt, str::FromStr};

use joulemark_measurement::quoted;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// How far an experiment has come.
///
/// - `queued`: accepted, waiting for its devices
/// - `starting`: devices leased; workers start and load the model
/// - `warming_up`: unmeasured passes, then the loaded baseline
/// - `measuring`: measured cycles run
/// - `aggregating`: all cycles are measured; results are computed and stored
/// - `completed`: the results are there
/// - `failed`: `failure` says why
/// - `cancelled`: its submitter or an admin stopped it
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

    pub fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// A server has it.
    pub fn is_running(self) -> bool {
        self != Self::Queued && !self.is_finished()
    }

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

    /// `to`, if an experiment may go there from here.
    ///
    /// # Errors
    /// [`IllegalMove`] for every other pair; a finished experiment never moves again.
    pub fn advance(self, to: Self) -> Result<Self, IllegalMove> {
        let allowed = match (self, to) {
            (from, Self::Failed | Self::Cancelled) => !from.is_finished(),
            // A server that died leaves its experiments behind; they go back to the queue.
            (from, Self::Queued) => !from.is_finished() && from != Self::Queued,
            (Self::Queued, Self::Starting)
            | (Self::Starting, Self::WarmingUp)
            | (Self::WarmingUp, Self::Measuring)
            | (Self::Measuring, Self::Aggregating) => true,
            // What was stored of the way may lag behind a run that went on while the database was away.
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

/// A text that is no state: ask for another.
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

/// Why an experiment failed, for a script to branch on.
///
/// - `worker_killed`: the worker process ended by a signal, e.g. SIGKILL by the kernel's out-of-memory killer
/// - `worker_exited`: the worker process ended by itself before it was done
/// - `worker_error`: the worker said why it cannot go on, e.g. the model does not load
/// - `worker_hung`: nothing was heard from the worker before its deadline
/// - `interrupted`: the server crashed in its own work on the experiment, as often as attempts are allowed
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

/// What is kept of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub reason: FailureReason,
    /// What happened, in a sentence.
    pub message: String,
    /// Rank of the worker that failed first; null when no worker is to blame.
    pub rank: Option<u32>,
    /// What the worker was at, e.g. `loading the model`; null when no worker is to blame, and of earlier versions' failures.
    #[serde(default)]
    pub phase: Option<String>,
    /// Name of the signal that ended the worker, e.g. `SIGKILL`.
    pub signal: Option<String>,
    /// Exit code of the worker.
    pub exit_code: Option<i32>,
    /// The last lines of what the worker printed.
    pub log_tail: Vec<String>,
}

impl Failure {
    /// Returns what somebody is told who may not read the prompts: reason, rank and phase. All else comes from a worker,
    /// or from work on the experiment, and may quote a prompt.
    pub fn without_quotes(&self) -> Self {
        let rank = self.rank.map_or_else(String::new, |rank| format!(" in rank {rank}"));
        let phase = self
            .phase
            .as_ref()
            .map_or_else(String::new, |phase| format!(" while {phase}"));
        let reason = self.reason.as_str();
        Self {
            reason: self.reason,
            message: format!("{reason}{rank}{phase}; the rest is withheld, as the prompts are"),
            rank: self.rank,
            phase: self.phase.clone(),
            signal: None,
            exit_code: None,
            log_tail: Vec::new(),
        }
    }

    /// One that no worker is to blame for.
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
    fn the_way_from_queue_to_completion_has_one_path_that_only_the_end_may_cut_short() {
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
