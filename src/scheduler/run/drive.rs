//! Drives the workers of a run through load, warm-up and measured cycles.

use std::time::Duration;

use super::cooling::{Cooling, warmest_c};
use super::driven::{Driven, RankPass};
use super::failure::Stop;
use super::gpu_readings::limit_change;
use super::host_memory::HostMemory;
use super::known_words::{check_load, check_request};
use super::milestones::Milestones;
use super::ranks::{Ranks, Waiting};
use super::steady_boards::SteadyWait;
use super::stop_rule::{FigureOf, apply_stop_rule};
use crate::progress::{Phase, Plan};
use crate::scheduler::context::Context;
use crate::scheduler::models::LocatedModel;
use crate::trace::{self, ExperimentTrace};
use joulemark_experiment::report::{CycleStart, DisturbedCycle, ModelFacts};
use joulemark_experiment::{Distribution, ExperimentId, Spec, State};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{LoadReport, StepCount, Window};
use joulemark_worker::protocol::{Job, Order, ProtocolError, Report, ServerJob};

/// Drives the workers through load, warm-up and all cycles, and publishes each state as it is reached.
pub struct Drive<'a> {
    pub context: &'a Context,
    pub id: ExperimentId,
    pub milestones: &'a Milestones,
    pub trace: &'a ExperimentTrace,
    /// The experiment as the workers get it.
    pub spec: &'a Spec,
    pub model: &'a LocatedModel,
    /// Endpoint of the engine; `None` when the engine is not a server.
    pub server: Option<ServerJob>,
    pub host_memory: &'a HostMemory,
    /// Returns the metric that the stop rule observes.
    pub figure: &'a FigureOf<'a>,
    /// Returns the disturbances of the cycle that has just ended; may block.
    pub disturbed: &'a DisturbedOf<'a>,
}

/// Function that returns a finished cycle with its disturbances, or `None` when there were none.
pub type DisturbedOf<'a> = dyn Fn(&Driven, u32) -> Option<DisturbedCycle> + Send + Sync + 'a;

impl Drive<'_> {
    /// Drives all cycles of the current processes. Awaits `beside_load` before the first measurement. Cycles are added
    /// to `driven` as they finish, so those are available when this future is dropped.
    ///
    /// # Errors
    /// Returns the [`Stop`] of the first failure.
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
        // A failed load returns at once, without waiting until a large file is hashed.
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
            driven.loaded_idle = self.loaded_idle(ranks).await?;
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

    /// Returns whether another cycle follows, in new processes when each cycle has its own.
    pub fn wants_more(&self, driven: &Driven) -> bool {
        let repeated = self.spec.repeat_disturbed.min(driven.disturbed.len() as u32);
        let is_sure = driven.stop.is_some_and(|stop| stop.sure_enough);
        // Another program that changed a power limit is left alone, so the next cycle would not be as asked for either.
        let is_as_set = driven.limit_changes.is_empty();
        !is_sure && is_as_set && driven.next_cycle() < self.spec.num_cycles + repeated
    }

    /// Drives one cycle once the GPUs are ready, and then checks it for a changed power limit, disturbances and the
    /// stop rule.
    async fn next_cycle(&self, ranks: &mut Ranks, driven: &mut Driven) -> Result<(), Stop> {
        let cycle = driven.next_cycle();
        if cycle > 0 && self.spec.cooldown_sec > 0 {
            let period = Duration::from_secs(u64::from(self.spec.cooldown_sec));
            ranks.stay_idle_for(period, "cooling down").await?;
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
            driven.discard(cycle, change);
            return Ok(());
        }
        let disturbed = match self.spec.repeat_disturbed {
            0 => None,
            _ => tokio::task::block_in_place(|| (self.disturbed)(driven, cycle)),
        };
        match (disturbed, &self.spec.stop_rule) {
            (Some(disturbed), _) => driven.disturbed.push(disturbed),
            (None, Some(rule)) => driven.stop = Some(apply_stop_rule(rule, self.figure, driven, cycle)),
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
                    // With replicated prompts the number is the same in every rank; with sharded prompts the ranks add
                    // up.
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

    /// Meters the loaded idle baseline: the workers are idle with the model in memory. Returns its window; `None` when
    /// the experiment asks for no baseline.
    async fn loaded_idle(&self, ranks: &mut Ranks) -> Result<Option<Window>, Stop> {
        let all = Duration::from_secs(u64::from(self.spec.idle_baseline_sec));
        if all.is_zero() {
            return Ok(None);
        }
        self.enter(Phase::IdleBaseline);
        let settling = (all / 4).min(MAX_SETTLING);
        ranks.stay_idle_for(settling, IDLING).await?;
        let start = self.edge().await?;
        ranks.stay_idle_for(all - settling, IDLING).await?;
        let end = self.edge().await?;
        Ok(Some(Window {
            start_monotonic_sec: start.as_sec(),
            end_monotonic_sec: end.as_sec(),
        }))
    }

    /// Waits until the GPUs are cool and steady, as far as the experiment asks for it; returns `None` when it asks for
    /// neither.
    async fn wait_for_gpus(&self, ranks: &mut Ranks, cycle: u32) -> Result<Option<CycleStart>, Stop> {
        let (meter, gpus) = (&self.context.resources.meter, self.spec.gpus.as_slice());
        let seconds = |sec: u32| Duration::from_secs(u64::from(sec));
        let cooled = match self.spec.start_below_temperature_c {
            Some(bound_c) => {
                let timeout = seconds(self.spec.max_cooling_sec);
                let cooling = Cooling {
                    meter,
                    gpus,
                    bound_c,
                    timeout,
                };
                Some(cooling.wait(ranks, cycle).await?)
            }
            None => None,
        };
        let Some(settle) = &self.spec.settle else {
            return Ok(cooled);
        };
        let timeout = seconds(settle.max_sec);
        let settled = SteadyWait { meter, gpus, timeout }.wait(ranks).await?;
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
                    // Read at once, so that the counters have moved little since the end of the window.
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

    /// Checks that a rank has run all of its prompt lines and reports due times when there is a load. Engines of
    /// earlier versions ignore these fields.
    fn has_all_lines(&self, rank: u32, passes: &[RankPass]) -> Result<(), ProtocolError> {
        let lines = self.spec.prompt_lines.len() as u32;
        let own = self.spec.prompts_of_rank(rank, lines).len();
        let pass = passes.iter().find(|pass| pass.rank == rank);
        let ran = pass.map_or(0, |pass| pass.requests.len() + pass.failed.len());
        if self.spec.load.is_some()
            && pass.is_some_and(|pass| pass.requests.iter().any(|of| of.due_monotonic_sec.is_none()))
        {
            let message = "it reports no due times of its requests; engines of earlier versions do not support load";
            return Err(ProtocolError::Malformed(message.to_owned()));
        }
        if lines == 0 || ran == own || self.spec.is_open_load() {
            return Ok(());
        }
        let message = format!("it ran {ran} of {own} prompts; engines of earlier versions do not support prompt_lines");
        Err(ProtocolError::Malformed(message))
    }

    /// Checks that the share of failed requests in a cycle is within the limit of the experiment.
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

    /// Checks that no sequence of a batch was preempted while others went on. Skips servers and open loads, whose
    /// requests do not run in waves.
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

    /// Takes an extra reading of every energy source; returns the time of the reading.
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

/// Returns a rank's pass, which exists once its window was reported.
fn pass_of<'a>(rank: u32, passes: &'a mut [RankPass], waiting: &Waiting) -> Result<&'a mut RankPass, Stop> {
    let pass = passes.iter_mut().find(|pass| pass.rank == rank);
    let early = || ProtocolError::Malformed("a request is reported before its window".to_owned());
    pass.ok_or_else(|| waiting.misunderstood(rank, early()))
}

/// Adds the UUIDs of the GPUs that hold a rank's layers. A rank sees only the GPUs of its lease, in their order.
fn with_gpus(mut load: LoadReport, spec: &Spec) -> LoadReport {
    let own = spec.gpus_of_rank(load.rank);
    for part in load.layers.iter_mut().filter(|part| part.device == "cuda") {
        part.gpu = own.get(part.ordinal as usize).cloned();
    }
    load
}

/// Ends a phase of the trace, with each rank's part of it.
fn of_ranks(phase: trace::Phase, windows: impl Iterator<Item = (u32, Window)>) {
    for (rank, window) in windows {
        let (start, end) = (window.start_monotonic_sec, window.end_monotonic_sec);
        phase.of_rank(rank, Monotonic::from_sec(start), Monotonic::from_sec(end));
    }
    phase.done();
}

/// Tokens of all ranks so far.
struct TokenSum {
    /// Tokens of processes that have ended.
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

/// Activity of the workers during the loaded idle baseline, for messages.
const IDLING: &str = "idling for the idle baseline";

/// Maximum time before the loaded idle baseline in which clocks and averaged power readings settle after the warm-up.
const MAX_SETTLING: Duration = Duration::from_secs(1);

/// Time in which workers may exit after they have finished, before they are killed.
pub const LEAVE_PERIOD: Duration = Duration::from_secs(5);
