use joulemark_experiment::report::{CycleReport, Report};
use joulemark_experiment::{PromptIdentity, Spec};
use joulemark_measurement::{EosHandling, LoadReport};

use super::cpu_settings::CpuSettings;
use crate::complete::complete_cycle;

/// Parts of a result that a comparison needs.
#[derive(Clone, Debug)]
pub struct MeasuredResult {
    /// Id of the result, or its position in the request.
    pub name: String,
    /// Name of the host.
    pub host: String,
    /// Whether the experiment was cancelled after these cycles.
    pub is_partial: bool,
    /// Whether a stop rule ended its cycles.
    pub is_stopped_by_rule: bool,
    pub cycles: Vec<CycleReport>,
    /// Power limit in force on all its GPUs, in watts; `None` where limits differ, it has no GPU, or the limit is
    /// unknown.
    pub power_limit_w: Option<f64>,
    pub cpu: CpuSettings,
    pub spec: Spec,
    /// Treatment of the end-of-sequence token.
    pub eos: EosHandling,
    /// Identity of the prompts; `None` where the caller may not know them.
    pub prompts: Option<PromptIdentity>,
}

impl MeasuredResult {
    /// Extracts what a comparison needs from a report.
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

    /// Computes the figures that cycles of an earlier release lack.
    #[must_use]
    pub fn completed(mut self) -> Self {
        self.cycles.iter_mut().for_each(complete_cycle);
        self
    }
}

/// Returns how the end-of-sequence token was treated. A result without this information was not run on a server.
pub fn eos_of(loads: &[LoadReport], spec: &Spec) -> EosHandling {
    let told = loads.iter().find_map(|load| load.eos);
    told.unwrap_or_else(|| spec.eos_in_process())
}
