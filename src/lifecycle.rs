//! The server's tasks, and the two stages of its graceful shutdown. Owns which tasks the server waits for and how long.
//! Leaves the work of a task to its module.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Maximum time to wait for the tasks of the last stage, so that a client with an open connection cannot delay the
/// shutdown.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Exit status of a process that the user interrupted: 128 plus the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Cancellation tokens of the two stages of the shutdown. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Cancelled first: nothing new starts, and running experiments return to the queue.
    pub stopping: CancellationToken,
    /// Cancelled when no experiment runs any more: the server leaves the database.
    pub leaving: CancellationToken,
}

/// The tasks that live as long as the server.
#[derive(Debug, Default)]
pub struct Lifecycle {
    stages: Stages,
    tasks: Vec<Task>,
}

/// Stage of the shutdown in which a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ends at `stopping`. The server waits for it without a timeout.
    Stopping,
    /// Ends at `stopping` or `leaving`. The server waits for it until 5 seconds after `leaving`.
    Leaving,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    ends_in: Stage,
    handle: JoinHandle<()>,
}

impl Lifecycle {
    /// Starts to handle SIGTERM, SIGINT and SIGHUP: the first signal begins the shutdown. A second SIGTERM or SIGINT
    /// ends the process at once. A second SIGHUP does not, since a closing terminal may send two. SIGHUP stays ignored
    /// if it was, as under nohup.
    ///
    /// # Errors
    /// Returns the operating system's error when a handler cannot be installed.
    pub fn obey_signals(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        if !is_hangup_ignored() {
            let (mut hangup, stopping) = (signal(SignalKind::hangup())?, self.stages.stopping.clone());
            tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    stopping.cancel();
                }
            });
        }
        let stopping = self.stages.stopping.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if stopping.is_cancelled() {
                    std::process::exit(INTERRUPTED);
                }
                stopping.cancel();
            }
        });
        Ok(())
    }

    /// Returns the tokens for a task to listen to.
    pub fn stages(&self) -> Stages {
        self.stages.clone()
    }

    /// Starts a task that ends in the given stage.
    pub fn spawn(&mut self, name: &'static str, ends_in: Stage, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task);
        self.tasks.push(Task { name, ends_in, handle });
    }

    /// Returns the tasks with their names. A task that ends before the shutdown has failed.
    pub fn tasks(&self) -> Vec<(&'static str, AbortHandle)> {
        let named = self.tasks.iter().map(|task| (task.name, task.handle.abort_handle()));
        named.collect()
    }

    /// Waits until the shutdown begins.
    pub async fn stopped(&self) {
        self.stages.stopping.cancelled().await;
    }

    /// Waits for the tasks of each stage in turn, and aborts those that exceed the timeout. Must be called after the
    /// shutdown has begun.
    pub async fn end(self) {
        self.end_within(TIMEOUT).await;
    }

    async fn end_within(self, timeout: Duration) {
        let (first, last): (Vec<_>, Vec<_>) = self.tasks.into_iter().partition(|task| task.ends_in == Stage::Stopping);
        for Task { name, handle, .. } in first {
            note_failure(name, handle.await);
        }
        self.stages.leaving.cancel();
        let deadline = Instant::now() + timeout;
        for Task { name, mut handle, .. } in last {
            match timeout_at(deadline, &mut handle).await {
                Ok(outcome) => note_failure(name, outcome),
                Err(_) => {
                    tracing::warn!("{name} takes longer than {} s to end and is aborted", timeout.as_secs());
                    handle.abort();
                }
            }
        }
    }
}

/// Returns whether this process was started with SIGHUP ignored.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit per signal, beginning with signal 1, which is SIGHUP.
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

fn note_failure(name: &str, outcome: Result<(), JoinError>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "{name} failed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_does_not_end_is_aborted_and_the_others_are_waited_for() {
        let mut lifecycle = Lifecycle::default();
        let has_ended = Arc::new(AtomicBool::new(false));
        let (stages, ended) = (lifecycle.stages(), has_ended.clone());
        lifecycle.spawn("one that takes a while", Stage::Leaving, async move {
            stages.leaving.cancelled().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            ended.store(true, Ordering::Relaxed);
        });
        lifecycle.spawn("one that never ends", Stage::Leaving, std::future::pending());
        let tasks = lifecycle.tasks();
        lifecycle.end_within(Duration::from_secs(2)).await;
        assert!(has_ended.load(Ordering::Relaxed));
        tokio::task::yield_now().await;
        assert!(tasks.iter().all(|(_, task)| task.is_finished()));
    }

    #[tokio::test]
    async fn leaving_begins_only_after_the_stopping_tasks_have_ended() {
        let mut lifecycle = Lifecycle::default();
        let stages = lifecycle.stages();
        let had_left = Arc::new(AtomicBool::new(true));
        let (leaving, seen) = (stages.leaving.clone(), had_left.clone());
        lifecycle.spawn("one that takes a while to stop", Stage::Stopping, async move {
            stages.stopping.cancelled().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            seen.store(leaving.is_cancelled(), Ordering::Relaxed);
        });
        lifecycle.stages().stopping.cancel();
        lifecycle.stopped().await;
        lifecycle.end().await;
        assert!(!had_left.load(Ordering::Relaxed));
    }
}
