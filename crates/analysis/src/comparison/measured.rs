use joulemark_experiment::report::{CycleReport, Report};
use joulemark_experiment::{PromptIdentity, Spec};
use joulemark_measurement::{EosHandling, LoadReport};

use super::cpu_settings::CpuSettings;
use crate::complete::complete_cycle;

/// What a comparison takes of a result.
#[derive(Clone, Debug)]
pub struct MeasuredResult {
    /// The result's id, or its place among what was sent.
    pub name: String,
    /// The host's name.
    pub host: String,
    /// Whether the experiment was cancelled after these cycles.
    pub is_partial: bool,
    /// Whether a stop rule ended its cycles.
    pub is_stopped_by_rule: bool,
    pub cycles: Vec<CycleReport>,
    /// The power limit that was in force on all its GPUs, in watts; `None` where they differ, it has none, or it is not known.
    pub power_limit_w: Option<f64>,
    pub cpu: CpuSettings,
    pub spec: Spec,
    /// How the end of a sequence was treated.
    pub eos: EosHandling,
    /// `None` where the reader may not know the prompts.
    pub prompts: Option<PromptIdentity>,
}

impl MeasuredResult {
    /// Takes what a comparison needs of a report.
    pub fn new(name: String, report: Report, spec: Spec, prompts: Option<PromptIdentity>) -> Self {
        let cycles = report.cycles_of_statistics();
        Self {
            name,
            host: report.machine.hostname,
            is_partial: false,
            is_stopped_by_rule: report.stop.is_some_and(|stop| stop.sure_enough),
            cycles,
            power_limit_w: report.power_limit_w,
            cpu: report.conditions.as_deref().map(CpuSettings::from).unwrap_or_default(),
            eos: eos_of(&report.loads, &spec),
            spec,
            prompts,
        }
        .completed()
    }

    /// Fills in what the cycles lack because an earlier release made them.
    #[must_use]
    pub fn completed(mut self) -> Self {
        self.cycles.iter_mut().for_each(complete_cycle);
        self
    }
}

/// Returns how the end of a sequence was treated. A result that does not tell is of before there were servers.
pub fn eos_of(loads: &[LoadReport], spec: &Spec) -> EosHandling {
    let told = loads.iter().find_map(|load| load.eos);
    told.unwrap_or_else(|| spec.eos_in_process())
}
