use std::collections::{BTreeMap, BTreeSet};

use super::baselines::{IdleState, attach};
use super::checks::{idle_gpus, load_warnings, server_warnings};
use super::complete::cycle_spread;
use super::footprint::footprint;
use super::gpu_settings::{GpuSettings, common_limit_w, not_settled};
use super::offered::{offered, set_goodput};
use super::outputs::outputs;
use super::repetition::{request_percentiles, statistics};
use super::steady::{SteadyPart, steady_state};
use super::{CycleHost, aggregate, validate};
use joulemark_experiment::report::{
    CycleReport, CycleStart, DisturbedCycle, ModelFacts, Readings, RepetitionLevel, RepetitionReport, Report,
    RunConditions, StopReport, Tariff, Timing,
};
use joulemark_experiment::{Spec, Warning, WarningCode};
use joulemark_measurement::{
    BatchCheck, BatchSteps, LoadReport, Machine, PhaseEnergy, RankCycle, StepCount, WarmUpEnd, WarmUpReport,
};

/// Smallest number of undisturbed cycles from which statistics leave out the disturbed ones.
const MIN_UNDISTURBED: usize = 2;

/// Input of a report: everything that a finished experiment produced.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    pub spec: &'a Spec,
    /// Warnings given at submission and during the run.
    pub warnings: &'a [Warning],
    pub cycles: &'a [RankCycle],
    pub hosts: &'a [CycleHost],
    /// Idle power before the cycles, one entry for each kind of baseline.
    pub idle: &'a [IdleState],
    pub phases: Vec<PhaseEnergy>,
    pub machine: Machine,
    pub loads: Vec<LoadReport>,
    /// Warm-up of each rank.
    pub warm_ups: Vec<WarmUpReport>,
    /// Wait of each cycle for its GPUs to cool.
    pub cycle_starts: Vec<CycleStart>,
    /// Settings of the leased GPUs, and the values in force.
    pub gpu_settings: GpuSettings,
    /// End of the cycles by the stop rule; `None` without one.
    pub stop: Option<StopReport>,
    /// Part of each cycle in which the load was full.
    pub steady: Vec<SteadyPart>,
    /// Cycles that other processes disturbed.
    pub disturbed: Vec<DisturbedCycle>,
    pub model: ModelFacts,
    pub conditions: Option<Box<RunConditions>>,
    pub tariff: Tariff,
    /// Number of prompts cut to `max_input_tokens`, over all ranks.
    pub truncated_prompts: u32,
    pub timing: Timing,
}

/// Creates the report that is stored and served.
pub fn report(input: ReportInput<'_>) -> Report {
    let batch_steps = batch_steps(&input);
    let mut aggregate = aggregate(input.cycles, input.hosts);
    attach(&mut aggregate, input.cycles, input.hosts, input.idle);
    aggregate.energy.phases = input.phases;
    set_goodput(input.spec, input.cycles, &mut aggregate);
    let offered = offered(input.spec, input.cycles, &aggregate);
    let readings = Readings {
        hosts: input.hosts.to_vec(),
        idle: input.idle.to_vec(),
        truncated_prompts: input.truncated_prompts,
        warnings: input.warnings.to_vec(),
        tariff: input.tariff.clone(),
    };
    let mut warnings = input.warnings.to_vec();
    warnings.extend(truncation(input.spec, input.truncated_prompts));
    warnings.extend(server_warnings(input.spec, &input.loads, input.cycles));
    warnings.extend(idle_gpus(&input.loads, input.cycles));
    warnings.extend(not_steady(&input.warm_ups));
    warnings.extend(not_cooled(input.spec, &input.cycle_starts));
    warnings.extend(not_settled(&input.cycle_starts));
    warnings.extend(load_warnings(input.spec, &offered));
    // Several processes give the same warning.
    let all = std::mem::take(&mut warnings);
    for warning in all {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let validation = validate(input.spec, &warnings, input.cycles, &aggregate);
    let cycle_sd = cycle_spread(&aggregate.cycles);
    let repetition = repetition(input.spec, &aggregate.cycles, input.disturbed);
    let footprint = footprint(&input.tariff, &aggregate.energy, &aggregate.inference);
    let mut report = Report {
        footprint: footprint.map(Box::new),
        inference: aggregate.inference,
        energy: aggregate.energy,
        compute: aggregate.compute,
        efficiency: aggregate.efficiency,
        validation,
        cycles: aggregate.cycles,
        cycle_sd,
        machine: input.machine,
        batch_check: nearest_to_bound(&input.loads),
        batch_steps,
        load_report: Some(offered),
        steady_state: steady_state(input.spec, input.steady, input.idle).map(Box::new),
        warm_ups: input.warm_ups,
        cycle_starts: input.cycle_starts,
        power_limit_w: common_limit_w(&input.gpu_settings.power_limits),
        power_limits: input.gpu_settings.power_limits,
        clocks: input.gpu_settings.clocks,
        stop: input.stop,
        statistics: BTreeMap::new(),
        request_percentiles: request_percentiles(input.cycles),
        outputs: outputs(input.cycles),
        conditions: input.conditions,
        readings: Some(Box::new(readings)),
        loads: input.loads,
        model: input.model,
        timing: input.timing,
        repetition: Some(repetition),
    };
    report.statistics = statistics(&report.cycles_of_statistics());
    report
}

/// Returns which cycles were disturbed, repeated, and left out of the statistics.
fn repetition(spec: &Spec, cycles: &[CycleReport], disturbed_cycles: Vec<DisturbedCycle>) -> RepetitionReport {
    let disturbed: Vec<u32> = disturbed_cycles.iter().map(|disturbed| disturbed.cycle).collect();
    let leaves_enough = cycles.len() >= disturbed.len() + MIN_UNDISTURBED;
    RepetitionReport {
        level: match spec.process_per_cycle {
            true => RepetitionLevel::Process,
            false => RepetitionLevel::Cycle,
        },
        disturbed_cycles,
        repeated_cycles: (cycles.len() as u32).saturating_sub(spec.num_cycles),
        left_out_of_statistics: match spec.repeat_disturbed > 0 && leaves_enough {
            true => disturbed,
            false => Vec::new(),
        },
    }
}

/// Returns the batch check whose difference is the largest share of its bound.
fn nearest_to_bound(loads: &[LoadReport]) -> Option<BatchCheck> {
    let share = |check: &BatchCheck| check.largest_difference / check.bound;
    let checks = loads.iter().filter_map(|load| load.batch_check);
    checks.max_by(|a, b| share(a).total_cmp(&share(b)))
}

/// Returns the number of decoding steps for each number of sequences; `None` for a batch size of 1, a server, or an
/// open load.
fn batch_steps(input: &ReportInput<'_>) -> Option<Vec<BatchSteps>> {
    let batch_size = input.spec.batch_size;
    let is_served = input.loads.iter().any(|load| load.server.is_some());
    // Requests of an open load are not sent in waves.
    let in_waves = !input.spec.is_open_load();
    (batch_size > 1 && !is_served && in_waves).then(|| {
        let mut sum = StepCount::default();
        for cycle in input.cycles {
            sum.add(&StepCount::of(&cycle.requests, batch_size));
        }
        sum.histogram()
    })
}

/// Warns about warm-ups that ended at their maximum of iterations.
fn not_steady(warm_ups: &[WarmUpReport]) -> Option<Warning> {
    let given_up = warm_ups
        .iter()
        .filter(|warm_up| warm_up.ended == WarmUpEnd::MaxIterations);
    let ranks: BTreeSet<u32> = given_up.map(|warm_up| warm_up.rank).collect();
    let ranks: Vec<String> = ranks.iter().map(u32::to_string).collect();
    (!ranks.is_empty()).then(|| Warning {
        code: WarningCode::NotSteady,
        message: format!(
            "the warm-up of rank {} ended by max_iterations: its last iterations did not take about the same time",
            ranks.join(", ")
        ),
    })
}

/// Warns about cycles that began with a GPU above the requested temperature.
fn not_cooled(spec: &Spec, starts: &[CycleStart]) -> Option<Warning> {
    let bound = spec.start_below_temperature_c?;
    let told = |start: &CycleStart| match start.temperature_c {
        Some(temperature) => format!("{} at {temperature} °C after {:.0} s", start.cycle, start.waited_sec),
        None => format!("{} with a GPU that does not report its temperature", start.cycle),
    };
    let warm: Vec<String> = starts.iter().filter(|start| !start.is_below).map(told).collect();
    (!warm.is_empty()).then(|| Warning {
        code: WarningCode::NotCooled,
        message: format!(
            "cycles began with a GPU that was not below start_below_temperature_c, which is {bound}: cycle {}",
            warm.join(", ")
        ),
    })
}

/// Warns about prompts that were cut.
fn truncation(spec: &Spec, prompts: u32) -> Option<Warning> {
    let limit = spec.max_input_tokens.filter(|_| prompts > 0)?;
    let message = format!("{prompts} prompts were cut to max_input_tokens, which is {limit}");
    Some(Warning {
        code: WarningCode::PromptTruncated,
        message,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::complete_report;
    use crate::fixtures::{host_cycle, load, machine, rank_cycle, spec, timing};

    fn input<'a>(spec: &'a Spec, cycles: &'a [RankCycle], hosts: &'a [CycleHost]) -> ReportInput<'a> {
        ReportInput {
            spec,
            warnings: &[],
            cycles,
            hosts,
            idle: &[],
            phases: Vec::new(),
            machine: machine(),
            loads: vec![load(0)],
            warm_ups: Vec::new(),
            cycle_starts: Vec::new(),
            gpu_settings: GpuSettings::default(),
            stop: None,
            steady: Vec::new(),
            disturbed: Vec::new(),
            model: ModelFacts {
                format: None,
                architecture: None,
                parameters_total: None,
                sha256: Vec::new(),
                texts_sha256: Vec::new(),
            },
            conditions: None,
            tariff: Tariff::default(),
            truncated_prompts: 0,
            timing: timing(),
        }
    }

    #[test]
    fn a_report_holds_the_aggregate_and_reads_back_from_its_json() {
        let (spec, cycles) = (spec(1, 1), [rank_cycle(0, 0, 0.0, 8.0)]);
        let hosts = [host_cycle(0, 80.0, 10.0)];
        let report = report(input(&spec, &cycles, &hosts));
        assert_eq!(report.inference, aggregate(&cycles, &hosts).inference);
        assert_eq!(report.cycles.len(), 1);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_report_that_an_earlier_release_stored_is_completed_when_it_is_read() {
        let spec = spec(2, 2);
        let cycles = [
            (0, 0, 0.0, 8.0),
            (1, 0, 4.0, 12.0),
            (0, 1, 20.0, 28.0),
            (1, 1, 20.0, 24.0),
        ]
        .map(|(rank, cycle, start, end)| rank_cycle(rank, cycle, start, end));
        let hosts = [host_cycle(0, 80.0, 10.0), host_cycle(1, 40.0, 6.0)];
        let now = report(input(&spec, &cycles, &hosts));
        assert!(now.inference.output_throughput.is_some() && now.energy.cpu_energy_uncertainty_j.is_some());
        assert!(now.cycle_sd.tokens_per_second.is_some());

        let mut stored = serde_json::to_value(&now).unwrap();
        without_later_fields(&mut stored);
        let mut read: Report = serde_json::from_value(stored).unwrap();
        assert_eq!(
            (read.inference.output_throughput, read.energy.cpu_energy_uncertainty_j),
            (None, None)
        );
        complete_report(&mut read);
        assert_eq!(read, now);
    }

    #[test]
    fn disturbed_cycles_stay_and_are_left_out_of_statistics_where_they_were_to_be_repeated() {
        let cycles = [0, 1, 2].map(|cycle| {
            rank_cycle(
                0,
                cycle,
                20.0 * f64::from(cycle),
                20.0 * f64::from(cycle) + 8.0 + f64::from(cycle),
            )
        });
        let disturbed = |cycle| DisturbedCycle {
            cycle,
            reasons: vec![Warning {
                code: WarningCode::Throttled,
                message: "clocks were lowered".to_owned(),
            }],
        };
        let of = |repeat_disturbed: u32, which: &[u32]| {
            let mut spec = spec(1, 2);
            spec.repeat_disturbed = repeat_disturbed;
            let report = report(ReportInput {
                disturbed: which.iter().copied().map(disturbed).collect(),
                ..input(&spec, &cycles, &[])
            });
            let repetition = report.repetition.clone().unwrap();
            let mean = report.statistics["inference_time_sec"].mean;
            (
                report.cycles.len(),
                repetition.repeated_cycles,
                repetition.left_out_of_statistics,
                mean,
            )
        };
        assert_eq!(of(1, &[2]), (3, 1, vec![2], 8.5));
        assert_eq!(of(0, &[2]), (3, 1, Vec::new(), 9.0));
        assert_eq!(of(1, &[1, 2]), (3, 1, Vec::new(), 9.0), "one alone has no statistics");
    }

    fn without_later_fields(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| {
                    let is_later = ["output_throughput", "cycle_sd", "statistics"].contains(&name.as_str());
                    !is_later && !name.ends_with("_energy_uncertainty_j")
                });
                fields.values_mut().for_each(without_later_fields);
            }
            Value::Array(items) => items.iter_mut().for_each(without_later_fields),
            _ => {}
        }
    }

    #[test]
    fn prompts_that_were_cut_are_warned_of() {
        let (mut spec, cycles) = (spec(1, 1), [rank_cycle(0, 0, 0.0, 8.0)]);
        spec.max_input_tokens = Some(16);
        let report = report(ReportInput {
            truncated_prompts: 2,
            ..input(&spec, &cycles, &[])
        });
        let warning = &report.validation.warnings[0];
        assert_eq!(warning.code, WarningCode::PromptTruncated);
        assert_eq!(warning.message, "2 prompts were cut to max_input_tokens, which is 16");
    }
}
