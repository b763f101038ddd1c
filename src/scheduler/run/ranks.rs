//! The worker processes of one experiment.

use std::{collections::BTreeSet, ffi::OsString, time::Duration};

use tokio::sync::mpsc;

use super::engine::EngineProgram;
use super::failure::Stop;
use super::launch::Launch;
use super::rank::{LogTail, Rank, RankEvent, Tag};
use crate::engines::environment;
use crate::scheduler::context::Context;
use crate::scheduler::queue::device_locks::Locks;
use joulemark_experiment::Spec;
use joulemark_measurement::CpuPlacement;
use joulemark_measurement::clock::Monotonic;
use joulemark_store::Record;
use joulemark_worker::protocol::{Order, ProtocolError, Report};

/// The ranks that have not finished a phase, and when each was last heard from.
pub struct Waiting {
    phase: &'static str,
    silence: Duration,
    pending: BTreeSet<u32>,
    last_heard: Vec<Monotonic>,
}

impl Waiting {
    /// Marks `rank` as finished.
    pub fn done(&mut self, rank: u32) {
        self.pending.remove(&rank);
    }

    /// Returns the [`Stop`] for a report that cannot be used.
    pub fn misunderstood(&self, rank: u32, error: ProtocolError) -> Stop {
        let phase = self.phase;
        Stop::Misunderstood { rank, error, phase }
    }

    fn longest_silent(&self) -> Option<u32> {
        self.pending
            .iter()
            .copied()
            .min_by_key(|rank| self.last_heard[*rank as usize])
    }

    fn time_left_for(&self, rank: u32) -> Duration {
        let silent_sec = Monotonic::now().sec_since(self.last_heard[rank as usize]);
        self.silence
            .saturating_sub(Duration::from_secs_f64(silent_sec.max(0.0)))
    }
}

/// The worker processes of one experiment.
pub struct Ranks {
    ranks: Vec<Rank>,
    events: mpsc::UnboundedReceiver<(u32, RankEvent)>,
    placements: Vec<CpuPlacement>,
}

impl Ranks {
    /// Starts one process per rank, each with its own GPUs and an equal, exclusive share of the CPUs.
    ///
    /// # Errors
    /// Returns [`Stop::Server`] when a process does not start. Those that have started are killed.
    pub async fn start(
        context: &Context,
        record: &Record,
        engine: &EngineProgram,
        locks: &Locks,
    ) -> Result<Self, Stop> {
        let spec = &record.spec;
        let (sender, events) = mpsc::unbounded_channel();
        let mut all = Self {
            ranks: Vec::new(),
            events,
            placements: placements(&context.cpus, spec.num_processes),
        };
        for rank in 0..spec.num_processes {
            let failed =
                |error: std::io::Error| Stop::Server(format!("the worker of rank {rank} does not start: {error}"));
            let placement = all.placements[rank as usize].clone();
            let started = async {
                let mut launch = launch(engine, spec, rank, &placement);
                launch.inherited = locks.descriptors()?;
                Rank::adopt(
                    context.launcher.launch(launch).await?,
                    Tag::from_record(record, rank, context.log_worker_output),
                    sender.clone(),
                )
            };
            let started = started.await;
            match started {
                Ok(started) => all.ranks.push(started),
                Err(error) => {
                    all.end(Duration::ZERO).await;
                    return Err(failed(error));
                }
            }
        }
        Ok(all)
    }

    /// Returns the process id of each rank.
    pub fn pids(&self) -> Vec<u32> {
        self.ranks.iter().map(|rank| rank.pid).collect()
    }

    /// Returns the CPUs of a rank.
    pub fn placement(&self, rank: u32) -> &CpuPlacement {
        &self.placements[rank as usize]
    }

    /// Returns the last output of a rank.
    pub fn tail(&self, rank: u32) -> Option<LogTail> {
        self.ranks.get(rank as usize).map(|rank| rank.tail.clone())
    }

    /// Sends an order to every rank. Failures are only logged, since the end of such a rank is about to be reported.
    pub async fn order_all(&mut self, order_of: impl Fn(u32) -> Order) {
        for (rank, handle) in self.ranks.iter_mut().enumerate() {
            if let Err(error) = handle.order(&order_of(rank as u32)).await {
                tracing::debug!(rank, %error, "an order could not be sent");
            }
        }
    }

    /// Creates a wait until every rank is [`Waiting::done`] with `phase`. A rank fails after `silence` without a
    /// report.
    pub fn wait_in(&self, phase: &'static str, silence: Duration) -> Waiting {
        Waiting {
            phase,
            silence,
            pending: (0..self.ranks.len() as u32).collect(),
            last_heard: vec![Monotonic::now(); self.ranks.len()],
        }
    }

    /// Returns the next report of any rank; `None` when all are done.
    ///
    /// # Errors
    /// Returns the first failure of a rank: it ended, reported a failure, sent a malformed report, or was silent for
    /// too long.
    pub async fn next(&mut self, waiting: &mut Waiting) -> Result<Option<(u32, Report)>, Stop> {
        let Some(rank) = waiting.longest_silent() else {
            return Ok(None);
        };
        let phase = waiting.phase;
        let hung = Stop::Hung {
            rank,
            phase,
            silent_sec: waiting.silence.as_secs_f64(),
        };
        let Ok(event) = tokio::time::timeout(waiting.time_left_for(rank), self.events.recv()).await else {
            return Err(hung);
        };
        let Some((rank, event)) = event else { return Err(hung) };
        waiting.last_heard[rank as usize] = Monotonic::now();
        match event {
            RankEvent::Report(Report::Failed { message }) => Err(Stop::Reported { rank, message, phase }),
            RankEvent::Report(report) => Ok(Some((rank, report))),
            RankEvent::Misunderstood(error) => Err(waiting.misunderstood(rank, error)),
            RankEvent::Ended(exit) => Err(Stop::Ended { rank, exit, phase }),
        }
    }

    /// Leaves the ranks idle for `period`.
    ///
    /// # Errors
    /// Returns the first failure of a rank, at once.
    pub async fn stay_idle_for(&mut self, period: Duration, doing: &'static str) -> Result<(), Stop> {
        let mut waiting = self.wait_in(doing, period * 2);
        let idling = async {
            // No order was sent, so only a failure ends this loop.
            while self.next(&mut waiting).await?.is_some() {}
            Ok(())
        };
        tokio::time::timeout(period, idling).await.unwrap_or(Ok(()))
    }

    /// Ends all processes. When this returns, none of them runs.
    pub async fn end(self, grace: Duration) {
        futures::future::join_all(self.ranks.into_iter().map(|rank| rank.end(grace))).await;
    }
}

/// Divides the CPUs into equal, contiguous shares. Left-over CPUs stay idle, so that no rank is faster than another.
fn placements(cpus: &[u32], num_processes: u32) -> Vec<CpuPlacement> {
    let each = (cpus.len() / num_processes as usize).max(1);
    (0..num_processes as usize)
        .map(|rank| {
            let first = (rank * each) % cpus.len().max(1);
            let own = cpus.iter().skip(first).take(each).copied().collect::<Vec<_>>();
            CpuPlacement {
                threads: own.len() as u32,
                cpus: own,
            }
        })
        .collect()
}

fn launch(engine: &EngineProgram, spec: &Spec, rank: u32, placement: &CpuPlacement) -> Launch {
    let cpus = placement.cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let own_pid = std::process::id().to_string();
    let rank_arguments = ["--parent-pid", &own_pid, "--cpus", &cpus];
    let own_gpus = spec.gpus_of_rank(rank).join(",");
    let pair = |name: &str, value: String| (OsString::from(name), OsString::from(value));
    Launch {
        program: engine.path.clone(),
        arguments: engine
            .arguments
            .iter()
            .chain(&rank_arguments)
            .map(OsString::from)
            .collect(),
        environment: environment::for_engines()
            .into_iter()
            .chain([
                // By UUID, since CUDA orders devices by speed and NVML by PCI slot. An empty value hides every GPU.
                pair(
                    "CUDA_VISIBLE_DEVICES",
                    if spec.device == joulemark_experiment::Device::Cuda {
                        own_gpus
                    } else {
                        String::new()
                    },
                ),
                pair("RAYON_NUM_THREADS", placement.threads.to_string()),
                pair("NO_COLOR", "1".to_owned()),
            ])
            .collect(),
        inherited: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_get_equal_and_disjoint_shares_of_the_cpus() {
        let parts = placements(&[0, 1, 2, 3, 6], 2);
        assert_eq!(parts[0].cpus, [0, 1]);
        assert_eq!(parts[1].cpus, [2, 3]);
        assert!(parts.iter().all(|part| part.threads == 2));
    }
}
