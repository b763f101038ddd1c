use std::time::Duration;

use super::cooling::{Cooling, warmest_c};
use super::driven::{Driven, RankPass};
use super::failure::Stop;
use super::gpu_readings::limit_change;
use super::host_memory::HostMemory;
use super::known_words::{check_load, check_request};
use super::milestones::Milestones;
use super::ranks::{Ranks, Waiting};
use super::settled::Settling;
use super::sureness::{FigureOf, look};
use crate::progress::{Phase, Plan};
use crate::scheduler::context::Context;
use crate::scheduler::models::LocatedModel;
use crate::trace::{self, ExperimentTrace};
use joulemark_experiment::report::{CycleStart, DisturbedCycle, ModelFacts};
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
    /// Says whether a cycle that was just driven was disturbed; it may block.
    pub disturbed: &'a DisturbedOf<'a>,
}

/// Returns a cycle that was driven with what disturbed it.
pub type DisturbedOf<'a> = dyn Fn(&Driven, u32) -> Option<DisturbedCycle> + Send + Sync + 'a;

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
        let is_first = driven.facts.is_none();
        let (loads, warm_ups) = (driven.loads.len(), driven.warm_ups.len());
        if is_first {
            self.context
                .progress
                .begin(self.id, Plan::from_spec(self.spec), Monotonic::now());
        }
        // A load that fails does not wait for the hashing of a large file.
        let load = self.trace.phase("load");
        let ((), facts) = tokio::try_join!(self.load(ranks, driven), async { Ok(beside_load.await) })?;
        driven.facts = Some(facts);
        of_ranks(load, driven.loads[loads..].iter().map(|load| (load.rank, load.window)));
        if is_first {
            self.milestones.reached(State::WarmingUp);
            self.enter(Phase::WarmingUp);
        }
        let warm_up = self.trace.phase("warm-up");
        self.warm_up(ranks, driven).await?;
        of_ranks(warm_up, driven.warm_ups[warm_ups..].iter().copied());
        if is_first {
            let idle = self.trace.phase("idle baseline");
            driven.loaded_idle = self.rest(ranks).await?;
            idle.done();
            self.milestones.reached(State::Measuring);
            self.enter(Phase::Measuring);
        }
        while self.wants_more(driven) {
            self.next_cycle(ranks, driven).await?;
            if self.spec.process_per_cycle {
                break;
            }
        }
        if let Some(change) = driven.limit_changes.first().filter(|_| driven.passes.is_empty()) {
            return Err(Stop::Power(change.to_string()));
        }
        ranks.order_all(|_| Order::Finish).await;
        driven.ended_tokens = driven.tokens;
        if !self.wants_more(driven) {
            self.milestones.reached(State::Aggregating);
            self.enter(Phase::Aggregating);
        }
        Ok(())
    }

    /// Tells whether another cycle is to be driven: in fresh processes where each has its own.
    pub fn wants_more(&self, driven: &Driven) -> bool {
        let repeated = self.spec.repeat_disturbed.min(driven.disturbed.len() as u32);
        let is_sure = driven.stop.is_some_and(|stop| stop.sure_enough);
        // Whoever changed a power limit is left alone, so that the next cycle would not be as asked for either.
        let is_as_set = driven.limit_changes.is_empty();
        !is_sure && is_as_set && driven.next_cycle() < self.spec.num_cycles + repeated
    }

    /// Drives one cycle, once all is calm enough, and looks at how it went.
    async fn next_cycle(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        let cycle = driven.next_cycle();
        if cycle > 0 && self.spec.cooldown_sec > 0 {
            let period = Duration::from_secs(u64::from(self.spec.cooldown_sec));
            ranks.rest_for(period, "cooling down").await?;
        }
        driven.cycle_starts.extend(self.wait_for_gpus(ranks, cycle).await?);
        self.context.progress.cycle(self.id, cycle, Monotonic::now());
        let phase = self.trace.phase("cycle");
        phase.note("joulemark.cycle", cycle);
        self.cycle(ranks, cycle, driven).await?;
        let own = driven.passes.iter().filter(|pass| pass.cycle == cycle);
        of_ranks(phase, own.map(|pass| (pass.rank, pass.window)));
        let changed = |_| limit_change(&self.context.resources.meter, driven, cycle);
        if let Some(change) = self.spec.power_limit_w.and_then(changed) {
            driven.forget(cycle, change);
            return Ok(());
        }
        let disturbed = match self.spec.repeat_disturbed {
            0 => None,
            _ => tokio::task::block_in_place(|| (self.disturbed)(driven, cycle)),
        };
        match (disturbed, &self.spec.stop_rule) {
            (Some(disturbed), _) => driven.disturbed.push(disturbed),
            (None, Some(rule)) => driven.stop = Some(look(rule, self.figure, driven, cycle)),
            (None, None) => {}
        }
        Ok(())
    }

    fn enter(&self, phase: Phase) {
        self.context.progress.enter(self.id, phase, Monotonic::now());
    }

    async fn load(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        let before = driven.loads.len();
        driven.truncated_prompts = 0;
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
                    let cycle = self.spec.process_per_cycle.then(|| driven.next_cycle());
                    driven.loads.push(LoadReport {
                        cycle,
                        ..with_gpus(*load, self.spec)
                    });
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
        driven.loads[before..].sort_by_key(|load| load.rank);
        Ok(())
    }

    async fn warm_up(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        ranks.order_all(|_| Order::WarmUp).await;
        let mut tokens = TokenSum::new(self.spec.num_processes, driven.ended_tokens);
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
        driven.tokens = tokens.sum();
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

    /// Waits until the GPUs are as a cycle is to find them; `None` where it is to find them as they are.
    async fn wait_for_gpus(&self, ranks: &mut Ranks, cycle: u32) -> Result<Option<CycleStart>, Stop> {
        let (meter, gpus) = (&self.context.resources.meter, self.spec.gpus.as_slice());
        let seconds = |sec: u32| Duration::from_secs(u64::from(sec));
        let cooled = match self.spec.start_below_temperature_c {
            Some(bound_c) => {
                let patience = seconds(self.spec.max_cooling_sec);
                let cooling = Cooling {
                    meter,
                    gpus,
                    bound_c,
                    patience,
                };
                Some(cooling.wait(ranks, cycle).await?)
            }
            None => None,
        };
        let Some(settle) = &self.spec.settle else {
            return Ok(cooled);
        };
        let patience = seconds(settle.max_sec);
        let settled = Settling { meter, gpus, patience }.wait(ranks).await?;
        Ok(Some(CycleStart {
            cycle,
            waited_sec: settled.waited_sec + cooled.map_or(0.0, |cooled| cooled.waited_sec),
            temperature_c: warmest_c(meter, gpus),
            is_below: cooled.is_none_or(|cooled| cooled.is_below),
            is_steady: settled.is_steady,
        }))
    }

    async fn cycle(&self, ranks: &mut Ranks, cycle: u32, driven: &mut Driven) -> Result<(), Stop> {
        tokio::task::block_in_place(|| self.host_memory.reset_peaks());
        self.edge().await?;
        ranks.order_all(|_| Order::Measure { cycle }).await;
        let mut passes = Vec::new();
        let mut tokens = TokenSum::new(self.spec.num_processes, driven.ended_tokens);
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
        driven.tokens = tokens.sum().max(driven.tokens);
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
            tokens.of_ranks[rank as usize] = *of_rank;
            self.context.progress.tokens(self.id, tokens.sum(), Monotonic::now());
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

struct TokenSum {
    /// Of processes that have ended.
    before: u64,
    of_ranks: Vec<u64>,
}

impl TokenSum {
    fn new(ranks: u32, before: u64) -> Self {
        Self {
            before,
            of_ranks: vec![0; ranks as usize],
        }
    }

    fn sum(&self) -> u64 {
        self.before + self.of_ranks.iter().sum::<u64>()
    }
}

/// What the workers do while the loaded baseline is metered.
const RESTING: &str = "resting for the idle baseline";

/// Within this time clocks and averaged power readings come down from the warm-up.
const MAX_SETTLING: Duration = Duration::from_secs(1);

/// How long workers that are done may take to leave by themselves.
pub const LEAVE_PERIOD: Duration = Duration::from_secs(5);
