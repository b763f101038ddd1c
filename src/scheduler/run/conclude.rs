//! Computes the report of a run from what the workers and the meter have recorded.

use super::compute::ComputeCount;
use super::disturbed::disturbed;
use super::driven::{Driven, RankPass};
use super::gpu_readings::gpu_settings;
use super::measured::Measured;
use super::observations::disturbances;
use super::phases::energy_by_phase;
use super::steady::steady_parts;
use joulemark_analysis::{CycleHost, IdleState, ReportInput, union_sec};
use joulemark_experiment::report::{DisturbedCycle, ModelFacts, Report, RunConditions, Tariff, Timing};
use joulemark_experiment::{Spec, StopMetric};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{BaselineKind, GpuMemory, LoadReport, Machine, RankCycle, Window};

/// The model, machine and settings of a run, and the price of its energy.
pub struct RanOn {
    pub model: ModelFacts,
    pub machine: Machine,
    pub conditions: Box<RunConditions>,
    pub tariff: Tariff,
}

impl Measured<'_> {
    /// Summarizes the measurements: returns the report, and the measurements of each rank in each cycle. Blocks for up
    /// to 0.1 s per rank.
    pub fn report(&self, driven: &Driven, ran_on: RanOn, compute: &ComputeCount) -> (Report, Vec<RankCycle>) {
        let Self { meter, spec, pids, .. } = *self;
        meter.settle();
        let idle = self.idle_states(driven.loaded_idle);
        let rank_cycle = |pass| self.rank_cycle(pass, compute, &idle[0]);
        let cycles = driven.passes.iter().map(rank_cycle).collect::<Vec<_>>();
        let hosts = driven
            .cycles()
            .into_iter()
            .filter_map(|cycle| {
                let union = driven.hull_of(cycle)?;
                Some(CycleHost {
                    cycle,
                    energy: meter.read(&union, &spec.gpus, &pids.at(&union).all()),
                })
            })
            .collect::<Vec<_>>();
        let mut warnings = self.warnings.to_vec();
        warnings.extend(disturbances(meter, spec, driven, pids));
        warnings.extend(joulemark_analysis::limit_changed(&driven.limit_changes));
        let phases = energy_by_phase(meter, spec, driven, pids);
        let finished_at = Monotonic::now();
        let report = joulemark_analysis::report(ReportInput {
            spec,
            warnings: &warnings,
            cycles: &cycles,
            hosts: &hosts,
            idle: &idle,
            phases,
            machine: ran_on.machine,
            loads: self.loads(driven),
            warm_ups: driven.warm_up_reports.clone(),
            cycle_starts: driven.cycle_starts.clone(),
            gpu_settings: gpu_settings(meter, spec, driven),
            stop: driven.stop,
            steady: steady_parts(self, driven, &idle[0]),
            disturbed: self.disturbed_cycles(driven),
            model: ran_on.model,
            conditions: Some(ran_on.conditions),
            tariff: ran_on.tariff,
            truncated_prompts: driven.truncated_prompts,
            timing: timing(spec, driven, self.claimed_at, finished_at),
        });
        (report, cycles)
    }

    /// Returns the load report of each rank with the GPU memory that NVML shows; workers do not use NVML.
    fn loads(&self, driven: &Driven) -> Vec<LoadReport> {
        // A process that runs only one cycle holds its memory until the end of that cycle.
        let until = |load: &LoadReport| {
            let is_own = |pass: &&RankPass| load.cycle.is_none_or(|cycle| pass.cycle == cycle);
            let own = driven.passes.iter().filter(is_own);
            Monotonic::from_sec(own.map(|pass| pass.window.end_monotonic_sec).fold(0.0, f64::max))
        };
        let seen = |load: &LoadReport| {
            let gpus = self.spec.gpus_of_rank(load.rank);
            let own = self.pids.at(&load.window);
            let pids = own.computing_of_rank(load.rank);
            // The growth of a GPU's memory belongs to a server only when the server was started for the experiment.
            let gpu_memory = match load.server.is_some() && pids.is_empty() {
                true => gpus.iter().map(|gpu| GpuMemory::unknown(gpu)).collect(),
                false => self.meter.loaded_gpu_memory(gpus, &load.window, until(load), pids),
            };
            LoadReport {
                gpu_memory,
                ..load.clone()
            }
        };
        driven.loads.iter().map(seen).collect()
    }

    /// Returns a metric of one finished cycle; `None` when it is unknown. Blocks as [`Self::report`] does.
    pub fn figure(&self, metric: StopMetric, driven: &Driven, cycle: u32, compute: &ComputeCount) -> Option<f64> {
        self.meter.settle();
        let idle = self.idle_states(driven.loaded_idle);
        let passes = driven.passes.iter().filter(|pass| pass.cycle == cycle);
        let cycles: Vec<RankCycle> = passes.map(|pass| self.rank_cycle(pass, compute, &idle[0])).collect();
        let hull = driven.hull_of(cycle)?;
        let host = CycleHost {
            cycle,
            energy: self.meter.read(&hull, &self.spec.gpus, &self.pids.at(&hull).all()),
        };
        let of_cycle = joulemark_analysis::aggregate(&cycles, &[host]).cycles.pop()?;
        joulemark_analysis::figure(metric.as_str(), &of_cycle)
    }

    /// Returns a cycle with its disturbances; `None` when there were none. Blocks as [`Self::report`] does.
    pub fn disturbed(&self, driven: &Driven, cycle: u32) -> Option<DisturbedCycle> {
        self.meter.settle();
        disturbed(self.meter, self.spec, driven, self.pids, cycle)
    }

    fn disturbed_cycles(&self, driven: &Driven) -> Vec<DisturbedCycle> {
        if self.spec.repeat_disturbed > 0 {
            return driven.disturbed.clone();
        }
        let of = |cycle| disturbed(self.meter, self.spec, driven, self.pids, cycle);
        driven.cycles().into_iter().filter_map(of).collect()
    }

    /// Returns the bare and the loaded idle state, in this order.
    fn idle_states(&self, loaded_idle: Option<Window>) -> [IdleState; 2] {
        let bare = IdleState {
            kind: BaselineKind::Bare,
            powers: self.bare.powers.clone(),
            why_missing: self.bare.why_none.clone(),
        };
        let (powers, why_missing) = match loaded_idle {
            Some(window) => (self.meter.powers_over(&window), "it was not read in the idle window"),
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

    fn rank_cycle(&self, pass: &RankPass, compute: &ComputeCount, bare: &IdleState) -> RankCycle {
        let gpus = self.spec.gpus_of_rank(pass.rank);
        let mut inference = joulemark_analysis::inference_of(&pass.requests, &pass.failed, &pass.window);
        inference.peak_gpu_memory_bytes = self.meter.peak_gpu_memory_bytes(gpus, &pass.window);
        inference.peak_host_memory_bytes = pass.peak_host_memory_bytes;
        let slo = self.spec.slo.as_ref();
        inference.goodput = slo
            .and_then(|slo| joulemark_analysis::goodput(slo, pass.requests.iter(), Some(pass.window.duration_sec())));
        let compute = compute.count(pass.rank, &pass.requests, &pass.window, gpus);
        let mut energy = self
            .meter
            .read(&pass.window, gpus, self.pids.at(&pass.window).of_rank(pass.rank));
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
            failed_requests: pass.failed.clone(),
            load_generator: pass.load_generator,
            server_report: pass.server_report,
        }
    }
}

fn timing(spec: &Spec, driven: &Driven, claimed_at: Monotonic, finished_at: Monotonic) -> Timing {
    let total_sec = finished_at.sec_since(claimed_at);
    // When each cycle has its own processes, their times add up.
    let longest = |windows: Vec<Window>| -> f64 {
        let processes = windows.chunks(spec.num_processes as usize);
        processes
            .map(|ranks| ranks.iter().map(Window::duration_sec).fold(0.0, f64::max))
            .sum()
    };
    let load_sec = longest(driven.loads.iter().map(|load| load.window).collect());
    let warm_up_sec = longest(driven.warm_ups.iter().map(|(_, window)| *window).collect());
    let idle_baseline_sec = driven.loaded_idle.map_or(0.0, |_| f64::from(spec.idle_baseline_sec));
    let cycles = driven
        .passes
        .iter()
        .map(|pass| pass.cycle)
        .max()
        .map_or(0, |last| last + 1);
    let waited_sec: f64 = driven.cycle_starts.iter().map(|start| start.waited_sec).sum();
    let cooldown_sec = f64::from(cycles.saturating_sub(1)) * f64::from(spec.cooldown_sec) + waited_sec;
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
        cooldown_sec,
        measuring_sec,
        total_sec,
        overhead_share: (total_sec > 0.0)
            .then(|| 1.0 - (load_sec + warm_up_sec + idle_baseline_sec + cooldown_sec + measuring_sec) / total_sec),
    }
}
