//! Exit codes of the client's subcommands.

use std::io;
use std::process::ExitCode;

use crate::client::ClientError;
use joulemark_experiment::State;

pub const EXIT_CODES: &str = "\
Exit codes:
    0  success; with --wait or --watch: the experiment completed
    1  the experiment failed
    2  invalid usage, or the server rejected the request: invalid submission, unknown ID, invalid key
    3  the server could not be reached, is busy, or failed
    4  the experiment was cancelled
    5  --timeout-sec expired
    6  the experiment has no results yet
    7  a file or standard output could not be read or written
    8  with --fail-if-worse: a metric is worse by more than that, or was not compared
    9  verify: a file or a figure of the bundle does not verify
  130  interrupted; the experiment goes on
  141  the reader of the output closed the pipe";

/// Outcome of a subcommand, as its exit code reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Done,
    Failed,
    Refused,
    Unavailable,
    Cancelled,
    TimedOut,
    Unfinished,
    Local,
    Worse,
    Differs,
    Interrupted,
    /// The exit code of a program that SIGPIPE ended: 128 + 13.
    BrokenPipe,
}

impl Ending {
    /// Returns the exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Unavailable => 3,
            Self::Cancelled => 4,
            Self::TimedOut => 5,
            Self::Unfinished => 6,
            Self::Local => 7,
            Self::Worse => 8,
            Self::Differs => 9,
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
        }
    }

    /// Returns the outcome for the state of an experiment.
    pub fn of_state(state: State) -> Self {
        match state {
            State::Completed => Self::Done,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
            _ => Self::Unfinished,
        }
    }

    /// Returns the first outcome that is not `Done`.
    pub fn and(self, next: Self) -> Self {
        if self == Self::Done { next } else { self }
    }

    /// Returns the outcome for an error, by its cause.
    pub fn of_error(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if let Some(error) = cause.downcast_ref::<ClientError>() {
                return Self::of_client_error(error);
            }
            if let Some(error) = cause.downcast_ref::<io::Error>() {
                return match error.kind() {
                    io::ErrorKind::BrokenPipe => Self::BrokenPipe,
                    _ => Self::Local,
                };
            }
        }
        Self::Refused
    }

    fn of_client_error(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(problem) if problem.short_kind() == "not-completed" => {
                let state = problem.state.as_deref().and_then(|state| state.parse().ok());
                state.map_or(Self::Unfinished, Self::of_state)
            }
            ClientError::Refused(_) | ClientError::Setup(_) => Self::Refused,
            ClientError::Unreachable { .. }
            | ClientError::Broken { .. }
            | ClientError::Unavailable(_)
            | ClientError::Foreign { .. } => Self::Unavailable,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(ending.code())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;
    use crate::client::Problem;

    #[test]
    fn the_help_lists_every_exit_code_once() {
        let all = [
            Ending::Done,
            Ending::Failed,
            Ending::Refused,
            Ending::Unavailable,
            Ending::Cancelled,
            Ending::TimedOut,
            Ending::Unfinished,
            Ending::Local,
            Ending::Worse,
            Ending::Differs,
            Ending::Interrupted,
            Ending::BrokenPipe,
        ];
        let documented: Vec<_> = EXIT_CODES
            .lines()
            .skip(1)
            .map(|line| line.trim().split("  ").next().unwrap().to_owned())
            .collect();
        assert_eq!(documented, all.map(|ending| ending.code().to_string()));
    }

    #[test]
    fn the_exit_code_follows_from_the_cause_of_the_error() {
        let refused = |kind: &str, state: Option<&str>| {
            let problem = Problem {
                kind: format!("urn:problem-type:joulemark:{kind}"),
                state: state.map(str::to_owned),
                ..Problem::default()
            };
            anyhow::Error::new(ClientError::Refused(problem.into()))
        };
        let broken: io::Error = io::ErrorKind::BrokenPipe.into();
        for (error, expected) in [
            (refused("no-such-experiment", None), Ending::Refused),
            (refused("not-completed", Some("measuring")), Ending::Unfinished),
            (refused("not-completed", Some("failed")), Ending::Failed),
            (refused("not-completed", Some("cancelled")), Ending::Cancelled),
            (refused("not-completed", Some("asleep")), Ending::Unfinished),
            (
                anyhow::Error::new(ClientError::Unavailable(Problem::default().into())),
                Ending::Unavailable,
            ),
            (
                Err::<(), _>(broken).context("printing").unwrap_err(),
                Ending::BrokenPipe,
            ),
            (anyhow::Error::new(io::Error::other("full")), Ending::Local),
            (anyhow::anyhow!("--server is bad"), Ending::Refused),
        ] {
            assert_eq!(Ending::of_error(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn the_first_failure_of_several_decides() {
        assert_eq!(Ending::Done.and(Ending::Done), Ending::Done);
        assert_eq!(Ending::Done.and(Ending::Failed).and(Ending::Cancelled), Ending::Failed);
    }
}
