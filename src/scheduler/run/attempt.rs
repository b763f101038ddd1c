//! Runs one attempt at an experiment, from the claim to the stored result.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::compute::ComputeCount;
use super::conclude::RanOn;
use super::conditions;
use super::drive::{Drive, LEAVE_PERIOD};
use super::driven::Driven;
use super::engine::EngineProgram;
use super::engine_pids::{EnginePids, PidsOverTime};
use super::failure::Stop;
use super::fit::fits;
use super::host_memory::HostMemory;
use super::measured::Measured;
use super::milestones::Milestones;
use super::model_facts::facts_of;
use super::observations::timeseries;
use super::power::{put_back, set_boards};
use super::prompts;
use super::rank::LogTail;
use super::ranks::Ranks;
use super::running::Ends;
use super::server::EngineServer;
use super::settle::{Destinations, Settled, settle};
use crate::engines::environment;
use crate::scheduler::context::{Context, Resources};
use crate::scheduler::models::LocatedModel;
use crate::scheduler::node::idle_baseline::BarePowers;
use crate::scheduler::queue::device_locks::Locks;
use crate::trace::ExperimentTrace;
use joulemark_experiment::report::{Report, RunConditions};
use joulemark_experiment::{Spec, State, Warning};
use joulemark_measurement::RankCycle;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_power_control::Held;
use joulemark_store::{Ending, Record, StoreError};

/// Outcome of an attempt: the final state and where the result is, or the reason to stop with the last output of each
/// rank.
type Outcome = Result<(State, Settled), (Stop, Vec<Option<LogTail>>)>;

/// One attempt at an experiment, from the claim to the stored result.
pub struct Run {
    pub context: Context,
    pub record: Record,
    pub attempt: u32,
    /// Idle power of the devices as known at the claim.
    pub bare: BarePowers,
    pub claimed_at: Monotonic,
    pub trace: ExperimentTrace,
    /// Locks of its devices and host, which the workers inherit.
    pub locks: Arc<Locks>,
    pub ends: Ends,
    pub server_stopping: CancellationToken,
}

impl Run {
    /// Runs the attempt and stores how it ended. Errors of the store are logged.
    pub async fn finish(self) {
        let id = self.record.id;
        let outcome = Box::pin(self.attempt()).await;
        self.context.progress.clear(id);
        let final_state = final_state(&outcome);
        let reason = match &outcome {
            Err((stop, _)) if final_state == Some(State::Failed) => Some(stop.reason().as_str()),
            _ => None,
        };
        let storing = outcome.is_err().then(|| self.trace.phase("store"));
        let stored = self.end(outcome).await;
        if let Some(storing) = storing.filter(|_| stored.is_ok()) {
            storing.done();
        }
        self.trace.ended(final_state.map(State::as_str), reason);
        match (stored, final_state) {
            (Ok(()), Some(state)) => {
                self.count(state);
                if let Some(reason) = reason {
                    let failed = &self.context.metrics.failed;
                    failed.get_or_create(&[("reason", reason)]).inc();
                }
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::error!(experiment = %id, %error, "the end of the experiment cannot be stored; it is run again");
                let is_its_own = !error.is_retryable() && !error.is_lost();
                if is_its_own && let Err(error) = self.context.resources.store.use_up_attempt(id).await {
                    tracing::warn!(experiment = %id, %error, "the use of an attempt cannot be stored");
                }
            }
        }
    }

    /// Logs how the attempt ended. Stores the end, unless it is already stored or is for another attempt to store.
    async fn end(&self, outcome: Outcome) -> Result<(), StoreError> {
        let (id, attempt, now) = (self.record.id, self.attempt, clock::wall_now());
        let held = (id, attempt);
        match outcome {
            Ok((state, Settled::Stored)) => tracing::info!(experiment = %id, attempt, "{state}"),
            Ok((state, Settled::Spooled)) => {
                tracing::warn!(experiment = %id, attempt, "{state}; its result waits on disk for the database");
            }
            Err((Stop::Cancelled, _)) => {
                tracing::info!(experiment = %id, "cancelled");
                self.settle(Ending::cancelled(held, now)).await?;
            }
            Err((Stop::ServerStopping, _)) => {
                tracing::info!(experiment = %id, "back to the queue: the server is stopping");
                // Not retried: the database may be stopping too, and the end of the lease requeues it as well.
                let store = &self.context.resources.store;
                store.advance(id, attempt, State::Queued, now).await?;
            }
            Err((Stop::Lost, _)) => tracing::warn!(experiment = %id, attempt, "taken over by another attempt"),
            Err((stop, tails)) => {
                let is_quoted = stop.quotes_a_worker() && !self.context.log_worker_output;
                let failure = stop.into_failure(|rank| tails.get(rank as usize).cloned().flatten());
                let told = if is_quoted {
                    failure.without_quotes().message
                } else {
                    failure.message.clone()
                };
                tracing::warn!(experiment = %id, reason = failure.reason.as_str(), rank = failure.rank, "failed: {told}");
                self.settle(Ending::failed(held, failure, now)).await?;
            }
        }
        Ok(())
    }

    fn count(&self, state: State) {
        let (metrics, label) = (&self.context.metrics, [("state", state.as_str())]);
        metrics.finished.get_or_create(&label).inc();
        let took_sec = Monotonic::now().sec_since(self.claimed_at);
        metrics.run_sec.get_or_create(&label).observe(took_sec);
    }

    /// Stores the end of the attempt with the time series of its devices, which are read now.
    async fn settle(&self, ending: Ending) -> Result<Settled, StoreError> {
        let Resources { store, meter, .. } = &self.context.resources;
        let series = timeseries(meter, &self.record.spec, self.claimed_at).await;
        let ending = ending.with_timeseries(&series)?;
        let destinations = Destinations {
            store,
            spool: self.context.spool.as_ref(),
            in_memory: &self.context.metrics.endings_in_memory,
        };
        settle(ending, destinations, &self.server_stopping).await
    }

    fn measured<'a>(&'a self, pids: &'a PidsOverTime, warnings: &'a [Warning]) -> Measured<'a> {
        Measured {
            meter: &self.context.resources.meter,
            spec: &self.record.spec,
            warnings,
            bare: &self.bare,
            pids,
            claimed_at: self.claimed_at,
        }
    }

    /// Sets the boards as the experiment asks, runs the attempt, and restores the boards whatever the outcome.
    async fn attempt(&self) -> Outcome {
        let held = set_boards(&self.context, self.record.id, &self.record.spec).await;
        let mut held = held.map_err(|stop| (stop, Vec::new()))?;
        let outcome = Box::pin(self.on_boards(&mut held)).await;
        put_back(held).await;
        outcome
    }

    /// Runs the attempt. Restores the boards before it stores the result, which clients may await.
    async fn on_boards(&self, as_set: &mut Option<Held>) -> Outcome {
        let start = self.trace.phase_since("start", self.claimed_at);
        let model = self.locate().await.map_err(|stop| (stop, Vec::new()))?;
        let spec = &self.record.spec;
        let engine = EngineProgram::find(&self.context, model.engine, spec).await;
        let engine = engine.map_err(|stop| (stop, Vec::new()))?;
        let for_workers = self.for_workers(&model).await.map_err(|stop| (stop, Vec::new()))?;
        // Makes the meter poll more often, until the windows have been read.
        let _fast_polling = self.context.resources.meter.poll_faster();
        let held = (self.record.id, self.attempt);
        let milestones = Milestones::start(self.context.resources.store.clone(), held, self.ends.lost.clone());
        let mut driven = Driven {
            boards: as_set.iter().flat_map(Held::boards).cloned().collect(),
            ..Driven::default()
        };
        let mut processes = RunProcesses::new(&self.record.warnings);
        let run = (&engine, &for_workers, &*model, &milestones);
        let ended = self.in_turns(run, start, &mut processes, &mut driven).await;
        let RunProcesses {
            pids,
            tracked,
            warnings,
            tails,
            ..
        } = processes;
        let outcome = match (ended, driven.facts.clone()) {
            // A cancelled run too: the cycles finished by then can be read.
            (Ok(()) | Err(Stop::Cancelled), Some(facts)) if !driven.passes.is_empty() => {
                let gpus = self.context.resources.meter.devices().gpus;
                let compute = ComputeCount::new(&model, spec, &driven.loads, gpus);
                let aggregate = self.trace.phase("aggregate");
                let ran_on = RanOn {
                    model: facts,
                    machine: engine.machine(&self.context.machine),
                    conditions: self.conditions(&engine, &driven),
                    tariff: self.context.footprint.tariff(spec),
                };
                let measured = self.measured(&pids, &warnings);
                let (report, cycles) = tokio::task::block_in_place(|| measured.report(&driven, ran_on, &compute));
                aggregate.done();
                // A state that has not been stored by now is superseded by the end.
                drop(milestones);
                put_back(as_set.take()).await;
                Box::pin(self.complete(report, cycles)).await
            }
            (Ok(()), _) => Err(Stop::Server("no cycle was measured".to_owned())),
            (Err(stop), _) => Err(stop),
        };
        for pid in &tracked {
            self.context.resources.meter.untrack(*pid);
        }
        outcome.map_err(|stop| (stop, tails))
    }

    /// Drives all cycles, in one set of processes or in one after the other.
    async fn in_turns(
        &self,
        run: RunOf<'_>,
        start: crate::trace::Phase,
        processes: &mut RunProcesses,
        driven: &mut Driven,
    ) -> Result<(), Stop> {
        let mut start = Some(start);
        loop {
            // No processes are started for a run that must end.
            self.goes_on(processes.begun)?;
            if !self.in_processes(run, start.take(), processes, driven).await? {
                return Ok(());
            }
        }
    }

    /// Checks that the run does not have to end, by the same conditions as while its processes are driven.
    fn goes_on(&self, begun: Monotonic) -> Result<(), Stop> {
        if self.ends.lost.is_cancelled() {
            Err(Stop::Lost)
        } else if self.ends.cancel.is_cancelled() {
            Err(Stop::Cancelled)
        } else if self.server_stopping.is_cancelled() {
            Err(Stop::ServerStopping)
        } else if self.time_left(begun).is_zero() {
            let limit_sec = self.context.limits.experiment.as_secs();
            Err(Stop::TimedOut { limit_sec })
        } else {
            Ok(())
        }
    }

    /// Returns the time that is left for the whole run.
    fn time_left(&self, begun: Monotonic) -> Duration {
        let gone_sec = Monotonic::now().sec_since(begun).max(0.0);
        let limit = self.context.limits.experiment;
        limit.saturating_sub(Duration::from_secs_f64(gone_sec))
    }

    /// Drives the cycles of one set of processes: all of them, or one. Returns whether more are to follow.
    async fn in_processes(
        &self,
        run: RunOf<'_>,
        start: Option<crate::trace::Phase>,
        seen: &mut RunProcesses,
        driven: &mut Driven,
    ) -> Result<bool, Stop> {
        let (engine, _, model, _) = run;
        let since = Monotonic::now();
        let mut server = EngineServer::start(&self.context, &self.record, model, &self.locks).await?;
        let started = Ranks::start(&self.context, &self.record, engine, &self.locks).await;
        let mut ranks = match started {
            Ok(ranks) => ranks,
            Err(stop) => {
                end(server).await;
                return Err(stop);
            }
        };
        if let Some(start) = start {
            start.done();
        }
        let meter = &self.context.resources.meter;
        let tracked = tokio::task::block_in_place(|| self.track(&ranks, server.as_ref()));
        seen.tracked.extend(tracked);
        let own = attributed_to(&ranks, server.as_ref());
        seen.pids.push(since, own);
        let more = self.drive(&mut ranks, server.as_mut(), (run, &*seen), driven).await;
        if let Some(server) = &server {
            let computing = tokio::task::block_in_place(|| server.processes.computing(meter));
            seen.pids.note_computing(computing);
        }
        seen.tails = (0..self.record.spec.num_processes)
            .map(|rank| ranks.tail(rank))
            .collect();
        ranks
            .end(if more.is_ok() { LEAVE_PERIOD } else { Duration::ZERO })
            .await;
        let warning = server.as_ref().and_then(|server| server.processes.warning());
        seen.warnings.extend(warning);
        end(server).await;
        more
    }

    /// Starts tracking the CPU time of the workers and of the server that they send requests to. Returns the tracked
    /// processes. Blocks on /proc.
    fn track(&self, ranks: &Ranks, server: Option<&EngineServer>) -> Vec<u32> {
        let meter = &self.context.resources.meter;
        let unfollowed = |error| {
            tracing::warn!(%error, "the CPU time of the engine cannot be tracked: no host energy is attributed to it");
        };
        let mut tracked = ranks.pids();
        for pid in &tracked {
            meter.track(*pid).unwrap_or_else(unfollowed);
        }
        if let Some(server) = server {
            server.processes.follow(meter).unwrap_or_else(unfollowed);
            tracked.extend(server.processes.followed());
        }
        tracked
    }

    async fn locate(&self) -> Result<Arc<LocatedModel>, Stop> {
        let models = self.context.resources.models.clone();
        let spec = &self.record.spec;
        let (name, server) = (spec.model_name.clone(), self.context.servers.get(&spec.engine).cloned());
        let locating = move || models.locate_for(server.as_ref(), &name);
        tokio::task::spawn_blocking(locating)
            .await
            .map_err(|_| Stop::Server("the server failed while it looked up the model; see its log".to_owned()))?
            .map_err(Stop::Model)
    }

    /// Returns the spec with the prompts as workers get it, after checking that it fits into the memory of its GPUs.
    async fn for_workers(&self, model: &LocatedModel) -> Result<Spec, Stop> {
        let spec = prompts::for_workers(&self.context.prompts, &self.record.spec).await?;
        fits(&spec, model, &self.context.resources.meter).await?;
        Ok(spec)
    }

    /// Returns the engine build and the host's settings. Blocks on the file system.
    fn conditions(&self, engine: &EngineProgram, driven: &Driven) -> Box<RunConditions> {
        let is_served = driven.loads.iter().any(|load| load.server.is_some());
        let passed_on = match is_served {
            true => environment::for_servers(),
            false => environment::for_engines(),
        };
        let spec = &self.record.spec;
        let meter = &self.context.resources.meter;
        tokio::task::block_in_place(|| {
            Box::new(RunConditions {
                engine: engine.build(spec, &driven.loads),
                rapl_limits: conditions::rapl_limits(&self.context.powercap),
                ..conditions::read(Path::new("/"), meter, &spec.gpus, passed_on)
            })
        })
    }

    async fn drive(
        &self,
        ranks: &mut Ranks,
        server: Option<&mut EngineServer>,
        ((_, spec, model, milestones), seen): (RunOf<'_>, &RunProcesses),
        driven: &mut Driven,
    ) -> Result<bool, Stop> {
        let (pids, meter) = (&seen.pids, &self.context.resources.meter);
        let processes = server.as_ref().map(|server| server.processes.clone());
        let disturbed = |driven: &Driven, cycle| {
            let mut pids = pids.clone();
            // Right after its start, the server's only process is its keeper.
            if let Some(processes) = &processes {
                pids.note_computing(processes.computing(meter));
            }
            self.measured(&pids, &[]).disturbed(driven, cycle)
        };
        let figure = |metric, driven: &Driven, cycle| {
            let gpus = self.context.resources.meter.devices().gpus;
            let compute = ComputeCount::new(model, &self.record.spec, &driven.loads, gpus);
            self.measured(pids, &[]).figure(metric, driven, cycle, &compute)
        };
        let of_server = server
            .as_ref()
            .map(|server| tokio::task::block_in_place(|| vec![server.processes.computing(meter)]));
        let of_ranks = || ranks.pids().into_iter().map(|pid| vec![pid]).collect();
        let host_memory = HostMemory::new(meter, of_server.unwrap_or_else(of_ranks));
        let drive = Drive {
            host_memory: &host_memory,
            figure: &figure,
            disturbed: &disturbed,
            context: &self.context,
            id: self.record.id,
            milestones,
            trace: &self.trace,
            spec,
            model,
            server: server.as_ref().map(|server| server.job.clone()),
        };
        let gone = async {
            match server {
                Some(server) => server.gone().await,
                None => std::future::pending().await,
            }
        };
        let (limit, left) = (self.context.limits.experiment, self.time_left(seen.begun));
        // Files are hashed during the load, which reads the same files, and never during a measured window.
        let facts = facts_of(model, &self.context.digests);
        tokio::select! {
            biased;
            () = self.ends.lost.cancelled() => Err(Stop::Lost),
            () = self.ends.cancel.cancelled() => Err(Stop::Cancelled),
            () = self.server_stopping.cancelled() => Err(Stop::ServerStopping),
            () = tokio::time::sleep(left) => Err(Stop::TimedOut { limit_sec: limit.as_secs() }),
            ended = drive.all(ranks, facts, driven) => ended,
            stop = gone => Err(stop),
        }?;
        Ok(drive.wants_more(driven))
    }

    async fn complete(&self, report: Report, cycles: Vec<RankCycle>) -> Result<(State, Settled), Stop> {
        let state = match self.ends.cancel.is_cancelled() {
            true => State::Cancelled,
            false => State::Completed,
        };
        let (held, now) = ((self.record.id, self.attempt), clock::wall_now());
        let ending = match state {
            State::Cancelled => Ending::cancelled_with(held, &report, &cycles, now),
            _ => Ending::completed(held, &report, &cycles, now),
        };
        let ending = ending.map_err(stop_of)?;
        let storing = self.trace.phase("store");
        let settled = self.settle(ending).await.map_err(stop_of)?;
        storing.done();
        Ok((state, settled))
    }
}

/// What all sets of processes of a run share.
type RunOf<'a> = (&'a EngineProgram, &'a Spec, &'a LocatedModel, &'a Milestones);

/// The processes that a run has had so far.
struct RunProcesses {
    begun: Monotonic,
    /// Processes that the energy is attributed to.
    pids: PidsOverTime,
    tracked: Vec<u32>,
    warnings: Vec<Warning>,
    /// Last output of each rank.
    tails: Vec<Option<LogTail>>,
}

impl RunProcesses {
    fn new(warnings: &[Warning]) -> Self {
        Self {
            begun: Monotonic::now(),
            pids: PidsOverTime::default(),
            tracked: Vec::new(),
            warnings: warnings.to_vec(),
            tails: Vec::new(),
        }
    }
}

/// Returns the processes that the energy is attributed to. A rank that sends requests to a server is load of this
/// service and is not counted as the engine's.
fn attributed_to(ranks: &Ranks, server: Option<&EngineServer>) -> EnginePids {
    match server {
        Some(server) => EnginePids::of_server(server.processes.followed()),
        None => EnginePids::of_workers(&ranks.pids()),
    }
}

async fn end(server: Option<EngineServer>) {
    if let Some(server) = server {
        server.end().await;
    }
}

/// Returns the final state of the experiment; `None` when another attempt follows.
fn final_state(outcome: &Outcome) -> Option<State> {
    match outcome {
        Ok((state, _)) => Some(*state),
        Err((Stop::Cancelled, _)) => Some(State::Cancelled),
        Err((Stop::ServerStopping | Stop::Lost, _)) => None,
        Err(_) => Some(State::Failed),
    }
}

fn stop_of(error: StoreError) -> Stop {
    if error.is_lost() {
        Stop::Lost
    } else {
        Stop::Store(error)
    }
}
