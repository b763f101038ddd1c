use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::compute::ComputeCount;
use super::digests::DigestCache;
use super::drive::{Drive, Driven, LEAVE_PERIOD, RankPass};
use super::engine::EngineProgram;
use super::failure::Stop;
use super::milestones::Milestones;
use super::observations::disturbances;
use super::phases::energy_by_phase;
use super::ranks::Ranks;
use super::running::Ends;
use super::settle::{Settled, Settling};
use crate::scheduler::context::Context;
use crate::scheduler::models::LocatedModel;
use crate::scheduler::node::idle_baseline::BarePowers;
use crate::scheduler::queue::device_locks::Locks;
use crate::trace::ExperimentTrace;
use joulemark_analysis::{CycleHost, IdleState, ReportInput, union_sec};
use joulemark_experiment::report::{ModelFacts, Report, Timing};
use joulemark_experiment::{Spec, State};
use joulemark_flops::model_files::ModelFormat;
use joulemark_measurement::clock::{self, Monotonic};
use joulemark_measurement::{BaselineKind, Machine, RankCycle, Window};
use joulemark_store::{Ending, Record, StoreError};

/// What was run, and on what.
struct RanOn {
    model: ModelFacts,
    machine: Machine,
}

/// One attempt at one experiment, from the claim to the stored result.
pub struct Run {
    pub context: Context,
    pub record: Record,
    pub attempt: u32,
    /// What the devices drew at rest, as known at the claim.
    pub bare: BarePowers,
    pub claimed_at: Monotonic,
    pub trace: ExperimentTrace,
    /// Of its devices and its host, for the workers to inherit.
    pub locks: Arc<Locks>,
    pub ends: Ends,
    pub server_stopping: CancellationToken,
}

impl Run {
    /// Never fails: whatever happens is stored, or logged when the store is what fails.
    pub async fn finish(self) {
        let id = self.record.id;
        let span_attempt = self.attempt;
        let outcome = self.attempt().await;
        self.context.progress.clear(id);
        let held = (id, self.attempt);
        let final_state = match &outcome {
            Ok(_) => Some(State::Completed),
            Err((Stop::Cancelled, _)) => Some(State::Cancelled),
            Err((Stop::ServerStopping | Stop::Lost, _)) => None,
            Err(_) => Some(State::Failed),
        };
        let reason = match &outcome {
            Err((stop, _)) if final_state == Some(State::Failed) => Some(stop.reason().as_str()),
            _ => None,
        };
        let storing = outcome.is_err().then(|| self.trace.phase("store"));
        let stored = match outcome {
            Ok(Settled::Stored) => {
                tracing::info!(experiment = %id, attempt = span_attempt, "completed");
                Ok(())
            }
            Ok(Settled::Spooled) => {
                tracing::warn!(experiment = %id, attempt = span_attempt, "completed; its result waits on disk for the database");
                Ok(())
            }
            Err((Stop::Cancelled, _)) => {
                tracing::info!(experiment = %id, "cancelled");
                self.settling()
                    .settle(Ending::cancelled(held, clock::wall_now()))
                    .await
                    .map(drop)
            }
            Err((Stop::ServerStopping, _)) => {
                tracing::info!(experiment = %id, "back to the queue: the server is stopping");
                // Not repeated: the database may be going down with the server, and the lease's end queues it as well.
                let store = &self.context.store;
                store.advance(id, self.attempt, State::Queued, clock::wall_now()).await
            }
            Err((Stop::Lost, _)) => {
                tracing::warn!(experiment = %id, attempt = span_attempt, "taken over by another attempt");
                Ok(())
            }
            Err((stop, tails)) => {
                let failure = stop.into_failure(|rank| tails.get(rank as usize).cloned().flatten());
                tracing::warn!(experiment = %id, reason = ?failure.reason, "failed: {}", failure.message);
                self.settling()
                    .settle(Ending::failed(held, failure, clock::wall_now()))
                    .await
                    .map(drop)
            }
        };
        if let Some(storing) = storing.filter(|_| stored.is_ok()) {
            storing.done();
        }
        self.trace.ended(final_state.map(State::as_str), reason);
        match (stored, final_state) {
            (Ok(()), Some(state)) => self.count(state),
            (Ok(()), None) => {}
            (Err(error), _) => {
                tracing::error!(experiment = %id, %error, "the end of the experiment cannot be stored; it is run again");
            }
        }
    }

    fn count(&self, state: State) {
        let (metrics, label) = (&self.context.metrics, [("state", state.as_str())]);
        metrics.finished.get_or_create(&label).inc();
        let took_sec = Monotonic::now().sec_since(self.claimed_at);
        metrics.run_sec.get_or_create(&label).observe(took_sec);
    }

    fn settling(&self) -> Settling<'_> {
        Settling {
            store: &self.context.store,
            spool: self.context.spool.as_ref(),
            meter: &self.context.meter,
            spec: &self.record.spec,
            claimed_at: self.claimed_at,
            server_stopping: &self.server_stopping,
        }
    }

    async fn attempt(&self) -> Result<Settled, (Stop, Vec<Option<super::rank::LogTail>>)> {
        let start = self.trace.phase_since("start", self.claimed_at);
        let model = self.locate().await.map_err(|stop| (stop, Vec::new()))?;
        let spec = &self.record.spec;
        let engine = EngineProgram::find(&self.context, model.engine).await;
        let engine = engine.map_err(|stop| (stop, Vec::new()))?;
        let mut ranks = Ranks::start(&self.context, &self.record, &engine, &self.locks)
            .await
            .map_err(|stop| (stop, Vec::new()))?;
        start.done();
        // Until its windows were read.
        let _attention = self.context.meter.attend();
        let pids = ranks.pids();
        for pid in &pids {
            if let Err(error) = self.context.meter.track(*pid) {
                tracing::warn!(pid, %error, "the worker's CPU time cannot be followed: host energy stays unattributed");
            }
        }
        let held = (self.record.id, self.attempt);
        let milestones = Milestones::start(self.context.store.clone(), held, self.ends.lost.clone());
        let driven = self.drive(&mut ranks, &model, &milestones).await;
        let tails = (0..spec.num_processes).map(|rank| ranks.tail(rank)).collect::<Vec<_>>();
        ranks
            .end(if driven.is_ok() { LEAVE_PERIOD } else { Duration::ZERO })
            .await;
        let outcome = match driven {
            Ok((driven, facts)) => {
                let gpus = self.context.meter.devices().gpus;
                let compute = ComputeCount::new(&model, spec, &driven.loads, gpus);
                let aggregate = self.trace.phase("aggregate");
                let ran_on = RanOn {
                    model: facts,
                    machine: engine.machine(&self.context.machine),
                };
                let (report, cycles) = self.conclude(driven, &pids, ran_on, &compute);
                aggregate.done();
                // What is not stored by now is overtaken by the end.
                drop(milestones);
                self.complete(report, cycles).await
            }
            Err(stop) => Err(stop),
        };
        for pid in &pids {
            self.context.meter.untrack(*pid);
        }
        outcome.map_err(|stop| (stop, tails))
    }

    async fn locate(&self) -> Result<Arc<LocatedModel>, Stop> {
        let models = self.context.models.clone();
        let name = self.record.spec.model_name.clone();
        tokio::task::spawn_blocking(move || models.locate(&name))
            .await
            .map_err(|error| Stop::Server(format!("the model could not be looked up: {error}")))?
            .map_err(Stop::Model)
    }

    async fn drive(
        &self,
        ranks: &mut Ranks,
        model: &LocatedModel,
        milestones: &Milestones,
    ) -> Result<(Driven, ModelFacts), Stop> {
        let drive = Drive {
            context: &self.context,
            id: self.record.id,
            milestones,
            trace: &self.trace,
            spec: &self.record.spec,
            model,
        };
        let limit = self.context.limits.experiment;
        // Hashing runs beside the load, which reads the same files, and never beside a measured window.
        let facts = facts_of(model, &self.context.digests);
        tokio::select! {
            biased;
            () = self.ends.lost.cancelled() => Err(Stop::Lost),
            () = self.ends.cancel.cancelled() => Err(Stop::Cancelled),
            () = self.server_stopping.cancelled() => Err(Stop::ServerStopping),
            () = tokio::time::sleep(limit) => Err(Stop::TimedOut { limit_sec: limit.as_secs() }),
            driven = drive.all(ranks, facts) => driven,
        }
    }

    /// The sums of what was driven.
    fn conclude(
        &self,
        driven: Driven,
        pids: &[u32],
        ran_on: RanOn,
        compute: &ComputeCount,
    ) -> (Report, Vec<RankCycle>) {
        let spec = &self.record.spec;
        let meter = &self.context.meter;
        tokio::task::block_in_place(|| meter.settle());
        let idle = self.idle_states(&driven);
        let rank_cycle = |pass| self.rank_cycle(pass, pids, compute, &idle[0]);
        let cycles = driven.passes.iter().map(rank_cycle).collect::<Vec<_>>();
        let hosts = (0..spec.num_cycles)
            .filter_map(|cycle| {
                let union = driven.hull_of(cycle)?;
                Some(CycleHost {
                    cycle,
                    energy: meter.read(&union, &spec.gpus, pids),
                })
            })
            .collect::<Vec<_>>();
        let mut warnings = self.record.warnings.clone();
        warnings.extend(disturbances(meter, spec, &driven, pids));
        let phases = tokio::task::block_in_place(|| energy_by_phase(meter, spec, &driven, pids));
        let finished_at = Monotonic::now();
        let report = joulemark_analysis::report(ReportInput {
            spec,
            warnings: &warnings,
            cycles: &cycles,
            hosts: &hosts,
            idle: &idle,
            phases,
            machine: ran_on.machine,
            loads: driven.loads.clone(),
            model: ran_on.model,
            truncated_prompts: driven.truncated_prompts,
            timing: timing(spec, &driven, self.claimed_at, finished_at),
        });
        (report, cycles)
    }

    async fn complete(&self, report: Report, cycles: Vec<RankCycle>) -> Result<Settled, Stop> {
        // Who cancels while sums are drawn up wants no result either.
        if self.ends.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let held = (self.record.id, self.attempt);
        let ending = Ending::completed(held, &report, &cycles, clock::wall_now()).map_err(stop_of)?;
        let storing = self.trace.phase("store");
        let settled = self.settling().settle(ending).await.map_err(stop_of)?;
        storing.done();
        Ok(settled)
    }

    /// Bare, then loaded.
    fn idle_states(&self, driven: &Driven) -> [IdleState; 2] {
        let bare = IdleState {
            kind: BaselineKind::Bare,
            powers: self.bare.powers.clone(),
            why_missing: self.bare.why_none.clone(),
        };
        let (powers, why_missing) = match driven.loaded_idle {
            Some(window) => (
                self.context.meter.powers_over(&window),
                "it was not read in the idle window",
            ),
            None => (Vec::new(), "idle_baseline_sec is 0"),
        };
        [
            bare,
            IdleState {
                kind: BaselineKind::Loaded,
                powers,
                why_missing: why_missing.to_owned(),
            },
        ]
    }

    fn rank_cycle(&self, pass: &RankPass, pids: &[u32], compute: &ComputeCount, bare: &IdleState) -> RankCycle {
        let own_pid = &pids[pass.rank as usize..=pass.rank as usize];
        let gpus = self.record.spec.gpus_of_rank(pass.rank);
        let inference = joulemark_analysis::inference_of(&pass.requests, &pass.window);
        let compute = compute.count(pass.rank, &pass.requests, &pass.window, gpus);
        let mut energy = self.context.meter.read(&pass.window, gpus, own_pid);
        energy.host_idle_energy_j = joulemark_analysis::host_idle_energy_j(&energy, bare);
        RankCycle {
            rank: pass.rank,
            cycle: pass.cycle,
            gpus: gpus.to_vec(),
            window: pass.window,
            inference,
            energy,
            compute,
            requests: pass.requests.clone(),
        }
    }
}

fn stop_of(error: StoreError) -> Stop {
    if error.is_lost() {
        Stop::Lost
    } else {
        Stop::Store(error)
    }
}

fn timing(spec: &Spec, driven: &Driven, claimed_at: Monotonic, finished_at: Monotonic) -> Timing {
    let total_sec = finished_at.sec_since(claimed_at);
    let longest = |windows: Vec<Window>| windows.iter().map(Window::duration_sec).fold(0.0, f64::max);
    let load_sec = longest(driven.loads.iter().map(|load| load.window).collect());
    let warm_up_sec = longest(driven.warm_ups.iter().map(|(_, window)| *window).collect());
    let idle_baseline_sec = driven.loaded_idle.map_or(0.0, |_| f64::from(spec.idle_baseline_sec));
    let cycles = driven
        .passes
        .iter()
        .map(|pass| pass.cycle)
        .max()
        .map_or(0, |last| last + 1);
    let measuring_sec = (0..cycles)
        .map(|cycle| union_sec(&driven.windows_of(cycle)))
        .sum::<f64>();
    let started = driven
        .load_started_monotonic_sec
        .map(|started| started - claimed_at.as_sec());
    Timing {
        claim_to_load_start_sec: started,
        load_sec,
        warm_up_sec,
        idle_baseline_sec,
        measuring_sec,
        total_sec,
        overhead_share: (total_sec > 0.0)
            .then(|| 1.0 - (load_sec + warm_up_sec + idle_baseline_sec + measuring_sec) / total_sec),
    }
}

async fn facts_of(model: &LocatedModel, digests: &DigestCache) -> ModelFacts {
    let Some(files) = model.files.clone() else {
        return ModelFacts {
            format: None,
            architecture: None,
            parameters_total: None,
            sha256: Vec::new(),
        };
    };
    let format = match files.format {
        ModelFormat::Gguf => "gguf",
        ModelFormat::Safetensors => "safetensors",
    };
    let digests = digests.clone();
    let weights = files.files.clone();
    let sha256 = tokio::task::spawn_blocking(move || digests.compute(&weights))
        .await
        .unwrap_or_default();
    ModelFacts {
        format: Some(format.to_owned()),
        architecture: Some(files.architecture),
        parameters_total: files.parameters_total,
        sha256,
    }
}
