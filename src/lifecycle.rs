//! The server's tasks and the two stages in which they end. Owns whom the server waits for, and how long; leaves what
//! a task does to the task.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// A client that holds its connection open does not hold the server for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The exit status of a process that the user interrupted: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// The two signals by which tasks learn that they are to end. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Cancelled first: nothing new begins, and what runs goes back to the queue.
    pub stopping: CancellationToken,
    /// Cancelled when nothing runs any more: the server leaves the database.
    pub leaving: CancellationToken,
}

/// Every task that lives as long as the server.
#[derive(Debug, Default)]
pub struct Lifecycle {
    stages: Stages,
    tasks: Vec<Task>,
}

/// The stage in which a task ends, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// At `stopping`. It is waited for however long it takes.
    Stopping,
    /// At `stopping` or `leaving`. It is waited for until 5 seconds after `leaving`.
    Leaving,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    ends_in: Stage,
    handle: JoinHandle<()>,
}

impl Lifecycle {
    /// Listens for SIGTERM, SIGINT and SIGHUP from now on: the first begins to stop the server. A second SIGTERM or
    /// SIGINT ends it at once; a second SIGHUP does not, since a terminal that closes may send two. Where SIGHUP is
    /// ignored, as under nohup, it stays so.
    ///
    /// # Errors
    /// Returns the operating system's error when it takes no handler.
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

    /// Returns the signals for a task to listen to.
    pub fn stages(&self) -> Stages {
        self.stages.clone()
    }

    /// Runs a task that ends by itself in the stage named.
    pub fn spawn(&mut self, name: &'static str, ends_in: Stage, task: impl Future<Output = ()> + Send + 'static) {
        let handle = tokio::spawn(task);
        self.tasks.push(Task { name, ends_in, handle });
    }

    /// Lists the tasks by what they do. One that has ended before the server stops has failed.
    pub fn tasks(&self) -> Vec<(&'static str, AbortHandle)> {
        let named = self.tasks.iter().map(|task| (task.name, task.handle.abort_handle()));
        named.collect()
    }

    /// Returns once the server is to stop.
    pub async fn stopped(&self) {
        self.stages.stopping.cancelled().await;
    }

    /// Waits for the tasks of each stage in turn and aborts those that outlast its patience. To be called once the
    /// server is to stop.
    pub async fn end(self) {
        self.end_within(PATIENCE).await;
    }

    async fn end_within(self, patience: Duration) {
        let (first, last): (Vec<_>, Vec<_>) = self.tasks.into_iter().partition(|task| task.ends_in == Stage::Stopping);
        for Task { name, handle, .. } in first {
            note_failure(name, handle.await);
        }
        self.stages.leaving.cancel();
        let deadline = Instant::now() + patience;
        for Task { name, mut handle, .. } in last {
            match timeout_at(deadline, &mut handle).await {
                Ok(outcome) => note_failure(name, outcome),
                Err(_) => {
                    tracing::warn!(
                        "{name} takes longer than {} s and is not waited for",
                        patience.as_secs()
                    );
                    handle.abort();
                }
            }
        }
    }
}

/// Tells whether whoever started this process has it ignore SIGHUP.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A bit a signal, from signal 1, which is SIGHUP.
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
    async fn nobody_leaves_before_what_stops_has_ended() {
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
