//! Reasons why a run ends early, and the failures that are stored for them.

use thiserror::Error;

use super::rank::{Exit, LogTail};
use crate::engines::EngineProblem;
use crate::scheduler::folders::without_folders;
use crate::scheduler::models::ModelRefusal;
use joulemark_experiment::{Failure, FailureReason};
use joulemark_measurement::PassedOver;
use joulemark_store::StoreError;
use joulemark_worker::protocol::ProtocolError;

/// Reason why a run ended early. The first three variants do not fail the experiment; all others do.
#[derive(Debug, Error)]
pub enum Stop {
    #[error("cancelled")]
    Cancelled,
    /// The experiment returns to the queue.
    #[error("the server is stopping")]
    ServerStopping,
    /// Another attempt has the experiment, which must be left alone.
    #[error("the experiment was taken over")]
    Lost,
    #[error("rank {rank} ended: it {exit}")]
    Ended { rank: u32, exit: Exit, phase: &'static str },
    #[error("rank {rank}: {message}")]
    Reported {
        rank: u32,
        message: String,
        phase: &'static str,
    },
    #[error("rank {rank}: {error}")]
    Misunderstood {
        rank: u32,
        error: ProtocolError,
        phase: &'static str,
    },
    #[error("rank {rank} was silent for {silent_sec:.0} s")]
    Hung {
        rank: u32,
        phase: &'static str,
        silent_sec: f64,
    },
    #[error("it ran for longer than {limit_sec} s")]
    TimedOut { limit_sec: u64 },
    #[error("the model {0}")]
    Model(#[from] ModelRefusal),
    #[error("its prompts cannot be read: {0}")]
    Prompts(String),
    #[error(transparent)]
    Engine(#[from] EngineProblem),
    /// A server that was started for the experiment has ended.
    #[error("the engine has ended: {why}")]
    EngineGone { why: String, tail: LogTail },
    #[error(
        "{failed} of {all} requests of cycle {cycle} failed ({reasons}); accepted is a share of {accepted} (max_failed_share)"
    )]
    RequestsFailed {
        failed: usize,
        all: usize,
        cycle: u32,
        reasons: String,
        accepted: f64,
    },
    #[error(
        "rank {rank}: the engine preempted prompt {} of cycle {cycle} after {} tokens while others of its batch went on, \
         and computed it again: the measurement is not that of a batch of batch_size; set batch_size to 1",
        of.prompt_index, of.tokens
    )]
    PassedOver { rank: u32, cycle: u32, of: PassedOver },
    #[error("the wave does not fit: {0}")]
    DoesNotFit(String),
    #[error("the GPUs are not as asked for: {0}")]
    Power(String),
    #[error("{0}")]
    Server(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Stop {
    /// Returns the reason, which quotes nothing from a worker.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Ended { exit, .. } if exit.signal.is_some() => FailureReason::WorkerKilled,
            Self::Ended { .. } => FailureReason::WorkerExited,
            Self::Reported { .. }
            | Self::Misunderstood { .. }
            | Self::RequestsFailed { .. }
            | Self::PassedOver { .. } => FailureReason::WorkerError,
            Self::EngineGone { .. } => FailureReason::WorkerExited,
            Self::Hung { .. } => FailureReason::WorkerHung,
            Self::TimedOut { .. } => FailureReason::Timeout,
            Self::Model(_)
            | Self::Prompts(_)
            | Self::Engine(_)
            | Self::Cancelled
            | Self::ServerStopping
            | Self::Lost
            | Self::DoesNotFit(_)
            | Self::Power(_)
            | Self::Server(_)
            | Self::Store(_) => FailureReason::ServerError,
        }
    }

    /// Returns whether the message quotes a worker, which may quote a prompt.
    pub fn quotes_a_worker(&self) -> bool {
        matches!(
            self,
            Self::Reported { .. } | Self::Misunderstood { .. } | Self::EngineGone { .. }
        )
    }

    /// Converts it to the stored failure; `tail_of` returns the last output of a rank.
    pub fn into_failure(self, tail_of: impl Fn(u32) -> Option<LogTail>) -> Failure {
        let (rank, phase) = match &self {
            Self::Ended { rank, phase, .. }
            | Self::Reported { rank, phase, .. }
            | Self::Misunderstood { rank, phase, .. }
            | Self::Hung { rank, phase, .. } => (Some(*rank), Some((*phase).to_owned())),
            _ => (None, None),
        };
        let of_engine = match &self {
            Self::EngineGone { tail, .. } => Some(tail.clone()),
            _ => None,
        };
        let printed = of_engine
            .or_else(|| rank.and_then(tail_of))
            .map(|tail| tail.lines())
            .unwrap_or_default();
        let log_tail = printed.iter().map(|line| without_folders(line)).collect();
        let (mut signal, mut exit_code) = (None, None);
        let reason = self.reason();
        let message = match self {
            Self::Ended { rank, exit, phase } => {
                let message = format!("the worker of rank {rank} {exit} while {phase}");
                (signal, exit_code) = (exit.signal, exit.code);
                message
            }
            Self::Reported { rank, message, .. } => format!("the worker of rank {rank} failed: {message}"),
            Self::Hung {
                rank,
                phase,
                silent_sec,
            } => format!("the worker of rank {rank} was silent for {silent_sec:.0} s while {phase}, and was killed"),
            Self::Engine(problem) => problem.for_clients(),
            other => other.to_string(),
        };
        Failure {
            reason,
            message: without_folders(&message),
            rank,
            phase,
            signal,
            exit_code,
            log_tail,
        }
    }
}
