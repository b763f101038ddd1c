//! Runs a server for one experiment under a keeper process.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use joulemark_keeper::{KeepEvent, KeepOrder};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{ChildStderr, ChildStdin};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::launch::{Launch, Launched};
use super::rank::{LogTail, Tag, collect_log, wait};
use crate::engines::environment;
use crate::scheduler::context::Context;
use crate::scheduler::queue::device_locks::Locks;

/// Time in which an engine may exit after it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A server that was started for one experiment, under a keeper process that ends it with all its descendants.
pub struct KeptEngine {
    /// Process id of the keeper, whose child is the engine.
    pub pid: u32,
    pub tail: LogTail,
    /// Reason why the engine has ended; `None` while it runs.
    gone: watch::Receiver<Option<String>>,
    /// Pipe to the keeper, which ends the engine when the pipe is closed.
    orders: Option<ChildStdin>,
    listener: JoinHandle<()>,
}

impl KeptEngine {
    /// Starts `command` under a keeper process.
    ///
    /// # Errors
    /// Returns the operating system's error when the keeper does not start. When the engine does not start,
    /// [`Self::gone`] returns the reason.
    pub async fn start(context: &Context, order: KeepOrder, tag: Tag, locks: &Locks) -> io::Result<Self> {
        let launch = Launch {
            program: context.program.clone(),
            arguments: ["keep", "--parent-pid", &std::process::id().to_string()]
                .map(OsString::from)
                .into(),
            environment: environment::for_engines(),
            inherited: locks.descriptors()?,
        };
        let Launched { mut child, reports } = context.launcher.launch(launch).await?;
        let missing = || io::Error::other("a pipe of the keeper process is missing");
        let mut orders = ChildStdin::from_std(child.stdin.take().ok_or_else(missing)?)?;
        let errors = ChildStderr::from_std(child.stderr.take().ok_or_else(missing)?)?;
        let reports = pipe::Receiver::from_owned_fd(reports)?;
        let (pid, tail) = (child.id(), LogTail::default());
        let log = tokio::spawn(collect_log(errors, tag, tail.clone()));
        let (sender, gone) = watch::channel(None);
        let records = order.record_dir.clone();
        let listener = tokio::spawn(async move {
            let told = listen(reports, &sender);
            let exit = tokio::join!(told, wait(child)).1;
            if exit.code != Some(0) {
                let _ = tokio::task::spawn_blocking(move || end_left(&records)).await;
            }
            let _ = log.await;
            sender.send_if_modified(|gone| {
                let is_news = gone.is_none();
                gone.get_or_insert(format!("its keeper process {exit}"));
                is_news
            });
        });
        let mut line = serde_json::to_string(&order).map_err(io::Error::other)?;
        line.push('\n');
        orders.write_all(line.as_bytes()).await?;
        orders.flush().await?;
        Ok(Self {
            pid,
            tail,
            gone,
            orders: Some(orders),
            listener,
        })
    }

    /// Waits until the engine has ended and returns the reason.
    pub async fn gone(&mut self) -> String {
        let gone = self.gone.wait_for(Option::is_some).await;
        gone.ok()
            .and_then(|gone| gone.clone())
            .unwrap_or_else(|| "its keeper process has ended".to_owned())
    }

    /// Ends the engine and all its descendants. When this returns, none of them runs.
    pub async fn end(mut self) {
        self.orders = None;
        if tokio::time::timeout(GRACE * 2, &mut self.listener).await.is_err() {
            tracing::warn!(keeper = self.pid, "the engine takes long to end");
            let _ = self.listener.await;
        }
    }
}

/// Returns the time in which an engine may exit before it is killed, in milliseconds.
pub fn grace_ms() -> u64 {
    u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX)
}

/// Kills the processes of servers whose keeper was killed. Blocks.
pub fn end_left(records: &Path) {
    match joulemark_keeper::sweep(records) {
        Ok(swept) => {
            for (pid, program) in swept.killed {
                tracing::warn!(
                    pid,
                    program,
                    "killed: it was left over from a server that was started for an experiment"
                );
            }
            for (pid, program) in swept.left {
                tracing::error!(
                    pid,
                    program,
                    "cannot be killed: it was left over from a server that was started for an experiment"
                );
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "processes left over from started servers cannot be searched for"),
    }
}

async fn listen(reports: pipe::Receiver, gone: &watch::Sender<Option<String>>) {
    let mut lines = BufReader::new(reports).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let why = match serde_json::from_str(&line) {
            Ok(KeepEvent::Started { .. }) => continue,
            Ok(KeepEvent::Ended { code, signal }) => match (code, signal) {
                (Some(code), _) => format!("it exited with code {code}"),
                (None, Some(signal)) => format!("it was killed by signal {signal}"),
                (None, None) => "it ended".to_owned(),
            },
            Ok(KeepEvent::Failed { message }) => message,
            Err(error) => format!("the message of its keeper process is not understood: {error}"),
        };
        gone.send_if_modified(|gone| {
            gone.get_or_insert(why);
            true
        });
    }
}
