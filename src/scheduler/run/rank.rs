//! One worker process: its orders, reports, output and end.

use std::{
    collections::VecDeque,
    fmt, io,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::launch::Launched;
use joulemark_experiment::ExperimentId;
use joulemark_store::Record;
use joulemark_worker::protocol::{self, Order, ProtocolError, Report};

const TAIL_LINES: usize = 40;
const TAIL_LINE_CHARS: usize = 2000;
const DRAIN_PERIOD: Duration = Duration::from_secs(1);

/// Event from one worker.
#[derive(Debug)]
pub enum RankEvent {
    Report(Report),
    Misunderstood(ProtocolError),
    /// The process has ended; always the last event of a rank.
    Ended(Exit),
}

/// How a process ended: its exit code, or the signal that killed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<String>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.signal, self.code) {
            (Some(signal), _) => write!(f, "was killed by {signal}"),
            (None, Some(code)) => write!(f, "exited with code {code}"),
            (None, None) => f.write_str("ended in an unknown way"),
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        let name = |number| Signal::try_from(number).map_or(format!("signal {number}"), |signal| signal.to_string());
        Self {
            code: status.code(),
            signal: status.signal().map(name),
        }
    }
}

/// Last lines that a worker printed. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(TAIL_LINE_CHARS).collect());
    }

    /// Returns the lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}

/// Origin of a worker's lines, which is logged with them.
#[derive(Clone, Debug)]
pub struct Tag {
    pub experiment: ExperimentId,
    pub rank: u32,
    /// Id of the request that submitted the experiment.
    pub request_id: Option<String>,
    /// Whether the lines are logged. They may quote a prompt.
    pub is_logged: bool,
}

impl Tag {
    /// Returns the tag of a rank's worker.
    pub fn from_record(record: &Record, rank: u32, is_logged: bool) -> Self {
        Self {
            experiment: record.id,
            rank,
            request_id: record.arrival.request_id.clone(),
            is_logged,
        }
    }
}

/// Server's handle to one worker process.
pub struct Rank {
    pub pid: u32,
    pub tail: LogTail,
    orders: Option<ChildStdin>,
    listener: JoinHandle<()>,
}

impl Rank {
    /// Takes over a started process and sends its reports to `events`, with the rank.
    ///
    /// # Errors
    /// Returns an error when the pipes cannot be polled.
    pub fn adopt(launched: Launched, tag: Tag, events: mpsc::UnboundedSender<(u32, RankEvent)>) -> io::Result<Self> {
        let Launched { mut child, reports } = launched;
        let missing = || io::Error::other("a pipe of the worker is missing");
        let orders = ChildStdin::from_std(child.stdin.take().ok_or_else(missing)?)?;
        let stdout = ChildStdout::from_std(child.stdout.take().ok_or_else(missing)?)?;
        let stderr = ChildStderr::from_std(child.stderr.take().ok_or_else(missing)?)?;
        let reports = pipe::Receiver::from_owned_fd(reports)?;
        let (pid, tail) = (child.id(), LogTail::default());
        let logs = [
            tokio::spawn(collect_log(stdout, tag.clone(), tail.clone())),
            tokio::spawn(collect_log(stderr, tag.clone(), tail.clone())),
        ];
        let rank = tag.rank;
        let listener = tokio::spawn(async move {
            let mut heard = tokio::spawn(listen(reports, rank, events.clone()));
            // Does not wait for the end of the pipe, which a descendant of the worker may hold open.
            let exit = wait(child).await;
            // The last reports and lines of a dying worker explain its end.
            let _ = tokio::time::timeout(DRAIN_PERIOD, futures::future::join(&mut heard, join_all(logs))).await;
            heard.abort();
            let _ = events.send((rank, RankEvent::Ended(exit)));
        });
        Ok(Self {
            pid,
            tail,
            orders: Some(orders),
            listener,
        })
    }

    /// Sends an order to the worker.
    ///
    /// # Errors
    /// Returns an error when the worker no longer reads. Its end is then about to be reported.
    pub async fn order(&mut self, order: &Order) -> io::Result<()> {
        let orders = self
            .orders
            .as_mut()
            .ok_or_else(|| io::Error::other("the worker's orders are closed"))?;
        orders.write_all(protocol::encode(order).as_bytes()).await?;
        orders.flush().await
    }

    /// Kills the worker and its descendants.
    pub fn kill(&self) {
        kill_group(self.pid);
    }

    /// Closes the orders, waits up to `grace` for the worker to exit, then kills it.
    pub async fn end(mut self, grace: Duration) {
        self.orders = None;
        if tokio::time::timeout(grace, &mut self.listener).await.is_err() {
            self.kill();
            let _ = self.listener.await;
        }
    }
}

fn kill_group(pid: u32) {
    // An error means that the group is already gone.
    let _ = killpg(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

async fn listen(reports: pipe::Receiver, rank: u32, events: mpsc::UnboundedSender<(u32, RankEvent)>) {
    let mut lines = BufReader::new(reports).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event = match protocol::decode(&line) {
            Ok(report) => RankEvent::Report(report),
            Err(error) => RankEvent::Misunderstood(error),
        };
        let _ = events.send((rank, event));
    }
}

/// Waits until a process that leads its group has ended, then kills the rest of the group.
pub async fn wait(mut child: Child) -> Exit {
    let wait = move || {
        let pid = child.id();
        // The process stays a zombie until its group is killed, so that the number is not reused meanwhile.
        let _ = waitid(
            Id::Pid(Pid::from_raw(pid as i32)),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
        );
        kill_group(pid);
        child.wait()
    };
    // A blocking thread is simpler than a signal handler that the whole program would share.
    tokio::task::spawn_blocking(wait)
        .await
        .ok()
        .and_then(Result::ok)
        .map(Exit::from)
        .unwrap_or_default()
}

/// Collects the last lines of an output, and logs each line when that is allowed.
pub async fn collect_log(output: impl AsyncRead + Unpin, tag: Tag, tail: LogTail) {
    let Tag { experiment, rank, .. } = tag;
    let request_id = tag.request_id.as_deref();
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        if tag.is_logged {
            tracing::info!(target: "joulemark::worker_output", %experiment, rank, request_id, "{line}");
        }
        tail.push(&line);
    }
}
