use super::baselines::{IdleState, attach};
use super::{CycleHost, aggregate, validate};
use joulemark_experiment::report::{ModelFacts, Report, Timing};
use joulemark_experiment::{Spec, Warning, WarningCode};
use joulemark_measurement::{LoadReport, Machine, PhaseEnergy, RankCycle};

/// Everything that a finished experiment leaves behind.
#[derive(Clone, Debug)]
pub struct ReportInput<'a> {
    pub spec: &'a Spec,
    /// What was warned of at submission and while it ran.
    pub warnings: &'a [Warning],
    pub cycles: &'a [RankCycle],
    pub hosts: &'a [CycleHost],
    /// Idle power before the cycles, one of a kind.
    pub idle: &'a [IdleState],
    pub phases: Vec<PhaseEnergy>,
    pub machine: Machine,
    pub loads: Vec<LoadReport>,
    pub model: ModelFacts,
    /// Prompts cut to `max_input_tokens`, over all ranks.
    pub truncated_prompts: u32,
    pub timing: Timing,
}

/// The report as it is stored and served.
pub fn report(input: ReportInput<'_>) -> Report {
    let mut aggregate = aggregate(input.cycles, input.hosts);
    attach(&mut aggregate, input.cycles, input.hosts, input.idle);
    aggregate.energy.phases = input.phases;
    let mut warnings = input.warnings.to_vec();
    warnings.extend(truncation(input.spec, input.truncated_prompts));
    let validation = validate(input.spec, &warnings, input.cycles, &aggregate);
    Report {
        inference: aggregate.inference,
        energy: aggregate.energy,
        compute: aggregate.compute,
        efficiency: aggregate.efficiency,
        validation,
        cycles: aggregate.cycles,
        machine: input.machine,
        loads: input.loads,
        model: input.model,
        timing: input.timing,
    }
}

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
    use super::*;
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
            model: ModelFacts {
                format: None,
                architecture: None,
                parameters_total: None,
                sha256: Vec::new(),
            },
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
