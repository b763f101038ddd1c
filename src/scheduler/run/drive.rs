use std::time::Duration;

use super::cooling::Cooling;
use super::driven::{Driven, RankPass};
use super::failure::Stop;
use super::host_memory::HostMemory;
use super::known_words::{check_load, check_request};
use super::milestones::Milestones;
use super::ranks::{Ranks, Waiting};
use super::sureness::{FigureOf, Sureness};
use crate::progress::{Phase, Plan};
use crate::scheduler::context::Context;
use crate::scheduler::models::LocatedModel;
use crate::trace::{self, ExperimentTrace};
use joulemark_experiment::report::ModelFacts;
use joulemark_experiment::{Distribution, ExperimentId, Spec, State};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{LoadReport, StepCount, Window};
use joulemark_worker::protocol::{Job, Order, ProtocolError, Report, ServerJob};

/// Takes the workers through load, warm-up and all cycles, and says each state as it is reached.
pub struct Drive<'a> {
    pub context: &'a Context,
    pub id: ExperimentId,
    pub milestones: &'a Milestones,
    pub trace: &'a ExperimentTrace,
    /// As the workers get it.
    pub spec: &'a Spec,
    pub model: &'a LocatedModel,
    /// Where the engine listens, when it is a server.
    pub server: Option<ServerJob>,
    pub host_memory: &'a HostMemory,
    /// What a stop rule looks at.
    pub figure: &'a FigureOf<'a>,
}

impl Drive<'_> {
    /// `beside_load` is awaited before anything is measured. What was driven stands in `driven` also where this is given
    /// up: a cycle is in it once it is finished.
    ///
    /// # Errors
    /// [`Stop`] of the first thing that went wrong.
    pub async fn all(
        &self,
        ranks: &mut Ranks,
        beside_load: impl Future<Output = ModelFacts>,
        driven: &mut Driven,
    ) -> Result<(), Stop> {
        // A load that fails does not wait for the hashing of a large file.
        let load = self.trace.phase("load");
        let ((), facts) = tokio::try_join!(self.load(ranks, driven), async { Ok(beside_load.await) })?;
        driven.facts = Some(facts);
        of_ranks(load, driven.loads.iter().map(|load| (load.rank, load.window)));
        self.milestones.reached(State::WarmingUp);
        self.enter(Phase::WarmingUp);
        let warm_up = self.trace.phase("warm-up");
        self.warm_up(ranks, driven).await?;
        of_ranks(warm_up, driven.warm_ups.iter().copied());
        let idle = self.trace.phase("idle baseline");
        driven.loaded_idle = self.rest(ranks).await?;
        idle.done();
        self.milestones.reached(State::Measuring);
        self.enter(Phase::Measuring);
        let rule = self.spec.stop_rule.as_ref();
        let mut sureness = rule.map(|rule| Sureness::new(rule, self.figure));
        for cycle in 0..self.spec.num_cycles {
            if cycle > 0 && self.spec.cooldown_sec > 0 {
                let period = Duration::from_secs(u64::from(self.spec.cooldown_sec));
                ranks.rest_for(period, "cooling down").await?;
            }
            if let Some(bound_c) = self.spec.start_below_temperature_c {
                let cooling = Cooling {
                    meter: &self.context.resources.meter,
                    gpus: &self.spec.gpus,
                    bound_c,
                    patience: Duration::from_secs(u64::from(self.spec.max_cooling_sec)),
                };
                driven.cycle_starts.push(cooling.wait(ranks, cycle).await?);
            }
            self.context.progress.cycle(self.id, cycle, Monotonic::now());
            let phase = self.trace.phase("cycle");
            phase.note("joulemark.cycle", cycle);
            self.cycle(ranks, cycle, driven).await?;
            let own = driven.passes.iter().filter(|pass| pass.cycle == cycle);
            of_ranks(phase, own.map(|pass| (pass.rank, pass.window)));
            driven.stop = sureness.as_mut().map(|sureness| sureness.look(driven, cycle));
            if driven.stop.is_some_and(|stop| stop.sure_enough) {
                break;
            }
        }
        ranks.order_all(|_| Order::Finish).await;
        self.milestones.reached(State::Aggregating);
        self.enter(Phase::Aggregating);
        Ok(())
    }

    fn enter(&self, phase: Phase) {
        self.context.progress.enter(self.id, phase, Monotonic::now());
    }

    async fn load(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        self.context
            .progress
            .begin(self.id, Plan::from_spec(self.spec), Monotonic::now());
        let jobs = (0..self.spec.num_processes)
            .map(|rank| Job {
                rank,
                spec: self.spec.clone(),
                model_path: self.model.path.clone(),
                from_hub: self.model.from_hub,
                placement: ranks.placement(rank).clone(),
                cache_elements_per_token: self.model.cache_elements_per_token(),
                max_context_tokens: self.model.max_context_tokens(),
                server: self.server.clone(),
            })
            .collect::<Vec<_>>();
        ranks
            .order_all(|rank| Order::Load(Box::new(jobs[rank as usize].clone())))
            .await;
        let mut waiting = ranks.wait_in("loading the model", self.context.limits.load);
        while let Some((rank, report)) = ranks.next(&mut waiting).await? {
            match report {
                Report::Loading { at_monotonic_sec } => {
                    driven.load_started_monotonic_sec.get_or_insert(at_monotonic_sec);
                }
                Report::Loaded {
                    load,
                    truncated_prompts,
                } => {
                    check_load(&load).map_err(|error| waiting.misunderstood(rank, error))?;
                    driven.loads.push(with_gpus(*load, self.spec));
                    // Replicated prompts are the same in every rank; dealt ones are each in one.
                    driven.truncated_prompts = match self.spec.distribution {
                        Distribution::Replicate => truncated_prompts,
                        Distribution::Shard => driven.truncated_prompts + truncated_prompts,
                    };
                    waiting.done(rank);
                }
                _ => {}
            }
        }
        driven.loads.sort_by_key(|load| load.rank);
        Ok(())
    }

    async fn warm_up(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        ranks.order_all(|_| Order::WarmUp).await;
        let mut tokens = TokenSum::new(self.spec.num_processes);
        let mut waiting = ranks.wait_in("warming up", self.context.limits.stall);
        while let Some((rank, report)) = ranks.next(&mut waiting).await? {
            match report {
                Report::WarmedUp { window, warm_up } => {
                    driven.warm_ups.push((rank, window));
                    driven.warm_up_reports.extend(warm_up);
                    waiting.done(rank);
                }
                other => self.note_tokens(&mut tokens, rank, &other),
            }
        }
        Ok(())
    }

    /// Leaves the workers idle with the model in memory, for the loaded baseline.
    async fn rest(&self, ranks: &mut Ranks) -> Result<Option<Window>, Stop> {
        let all = Duration::from_secs(u64::from(self.spec.idle_baseline_sec));
        if all.is_zero() {
            return Ok(None);
        }
        self.enter(Phase::IdleBaseline);
        let settling = (all / 4).min(MAX_SETTLING);
        ranks.rest_for(settling, RESTING).await?;
        let start = self.edge().await?;
        ranks.rest_for(all - settling, RESTING).await?;
        let end = self.edge().await?;
        Ok(Some(Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: end.as_sec(),
        }))
    }

    async fn cycle(&self, ranks: &mut Ranks, cycle: u32, driven: &mut Driven) -> Result<(), Stop> {
        tokio::task::block_in_place(|| self.host_memory.reset_peaks());
        self.edge().await?;
        ranks.order_all(|_| Order::Measure { cycle }).await;
        let mut passes = Vec::new();
        let mut tokens = TokenSum::new(self.spec.num_processes);
        let mut waiting = ranks.wait_in("measuring", self.context.limits.stall);
        while let Some((rank, report)) = ranks.next(&mut waiting).await? {
            match report {
                Report::Measured { cycle: of, window } if of == cycle => {
                    // Read at once: the less the counters have moved since the window closed, the better.
                    self.edge().await?;
                    passes.push(RankPass {
                        rank,
                        cycle,
                        window,
                        requests: Vec::new(),
                        failed: Vec::new(),
                        load_generator: None,
                        server_report: None,
                        peak_host_memory_bytes: tokio::task::block_in_place(|| self.host_memory.peak_bytes(rank)),
                    });
                }
                Report::Request { cycle: of, request } if of == cycle => {
                    check_request(&request).map_err(|error| waiting.misunderstood(rank, error))?;
                    pass_of(rank, &mut passes, &waiting)?.requests.push(*request);
                }
                Report::RequestFailed { cycle: of, request } if of == cycle => {
                    pass_of(rank, &mut passes, &waiting)?.failed.push(request);
                }
                Report::Generated {
                    cycle: of,
                    load_generator,
                    server_report,
                } if of == cycle => {
                    let pass = pass_of(rank, &mut passes, &waiting)?;
                    (pass.load_generator, pass.server_report) = (Some(load_generator), Some(*server_report));
                }
                Report::CycleReported { cycle: of } if of == cycle => {
                    self.has_all_lines(rank, &passes)
                        .map_err(|error| waiting.misunderstood(rank, error))?;
                    let pass = pass_of(rank, &mut passes, &waiting)?;
                    self.has_few_failures(pass)?;
                    self.stayed_together(pass)?;
                    waiting.done(rank);
                }
                other => self.note_tokens(&mut tokens, rank, &other),
            }
        }
        passes.sort_by_key(|pass| pass.rank);
        driven.passes.extend(passes);
        Ok(())
    }

    /// Checks that a rank has run each of its lines, when they were due: an engine of before there were any finds no prompts at
    /// all.
    fn has_all_lines(&self, rank: u32, passes: &[RankPass]) -> Result<(), ProtocolError> {
        let lines = self.spec.prompt_lines.len() as u32;
        let own = self.spec.prompts_of_rank(rank, lines).len();
        let pass = passes.iter().find(|pass| pass.rank == rank);
        let ran = pass.map_or(0, |pass| pass.requests.len() + pass.failed.len());
        if self.spec.load.is_some()
            && pass.is_some_and(|pass| pass.requests.iter().any(|of| of.due_monotonic_sec.is_none()))
        {
            let message = "it does not say when its requests were due; an engine of an earlier version knows no load";
            return Err(ProtocolError::Malformed(message.to_owned()));
        }
        if lines == 0 || ran == own || self.spec.is_open_load() {
            return Ok(());
        }
        let message = format!("it ran {ran} of {own} prompts; an engine of an earlier version knows no prompt_lines");
        Err(ProtocolError::Malformed(message))
    }

    /// Checks that no more of a cycle's requests failed than the experiment accepts.
    fn has_few_failures(&self, pass: &RankPass) -> Result<(), Stop> {
        let (failed, all) = (pass.failed.len(), pass.failed.len() + pass.requests.len());
        let accepted = self.spec.max_failed_share;
        if failed == 0 || (failed as f64 / all as f64 <= accepted && failed < all) {
            return Ok(());
        }
        Err(Stop::RequestsFailed {
            failed,
            all,
            cycle: pass.cycle,
            reasons: joulemark_analysis::failure_reasons(&pass.failed),
            accepted,
        })
    }

    /// Checks that no sequence of a batch was put back while others went on. Requests of a server, and those that come by
    /// themselves, are no waves.
    fn stayed_together(&self, pass: &RankPass) -> Result<(), Stop> {
        if self.spec.batch_size == 1 || self.server.is_some() || self.spec.is_open_load() {
            return Ok(());
        }
        match StepCount::of(&pass.requests, self.spec.batch_size).passed_over {
            None => Ok(()),
            Some(of) => Err(Stop::PassedOver {
                rank: pass.rank,
                cycle: pass.cycle,
                of,
            }),
        }
    }

    /// An extra reading of every energy source, now.
    async fn edge(&self) -> Result<Monotonic, Stop> {
        let meter = self.context.resources.meter.clone();
        let read = tokio::task::spawn_blocking(move || meter.edge()).await;
        read.map_err(|error| Stop::Server(format!("the energy meter failed: {error}")))
    }

    fn note_tokens(&self, tokens: &mut TokenSum, rank: u32, report: &Report) {
        if let Report::Progress { tokens: of_rank } = report {
            tokens.0[rank as usize] = *of_rank;
            let sum = tokens.0.iter().sum();
            self.context.progress.tokens(self.id, sum, Monotonic::now());
        }
    }
}

/// Returns a rank's pass, whose window has come.
fn pass_of<'a>(rank: u32, passes: &'a mut [RankPass], waiting: &Waiting) -> Result<&'a mut RankPass, Stop> {
    let pass = passes.iter_mut().find(|pass| pass.rank == rank);
    let early = || ProtocolError::Malformed("a request comes before its window".to_owned());
    pass.ok_or_else(|| waiting.misunderstood(rank, early()))
}

/// Names the GPUs that a rank's layers lie on: it sees those of its lease alone, in their order.
fn with_gpus(mut load: LoadReport, spec: &Spec) -> LoadReport {
    let own = spec.gpus_of_rank(load.rank);
    for part in load.layers.iter_mut().filter(|part| part.device == "cuda") {
        part.gpu = own.get(part.ordinal as usize).cloned();
    }
    load
}

/// The phase is done, with each rank's own part of it.
fn of_ranks(phase: trace::Phase, windows: impl Iterator<Item = (u32, Window)>) {
    for (rank, window) in windows {
        let (start, end) = (window.start_monotonic_sec, window.end_monotonic_sec);
        phase.of_rank(rank, Monotonic::from_sec(start), Monotonic::from_sec(end));
    }
    phase.done();
}

struct TokenSum(Vec<u64>);

impl TokenSum {
    fn new(ranks: u32) -> Self {
        Self(vec![0; ranks as usize])
    }
}

/// What the workers do while the loaded baseline is metered.
const RESTING: &str = "resting for the idle baseline";

/// Within this time clocks and averaged power readings come down from the warm-up.
const MAX_SETTLING: Duration = Duration::from_secs(1);

/// How long workers that are done may take to leave by themselves.
pub const LEAVE_PERIOD: Duration = Duration::from_secs(5);
