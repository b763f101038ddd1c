//! Row of the table of experiments.

use jiff::Timestamp;

use joulemark_experiment::report::Report;
use joulemark_experiment::{ExperimentId, Failure, Spec, State, Warning};

/// An experiment with its report, which exists once it is completed.
#[derive(Clone, Debug)]
pub struct ExperimentRow {
    pub id: ExperimentId,
    pub state: State,
    pub attempt: u32,
    pub node_name: Option<String>,
    pub submitter: Option<String>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub failure: Option<Failure>,
    /// Warnings of its submission, which the report repeats.
    pub warnings: Vec<Warning>,
    /// Number of prompts that were deleted from the spec.
    pub dropped_prompts: Option<u32>,
    pub spec: Spec,
    pub report: Option<Report>,
}

impl ExperimentRow {
    /// Returns the warnings of the report, or those of the submission when there is no report.
    pub fn all_warnings(&self) -> &[Warning] {
        match &self.report {
            Some(report) => &report.validation.warnings,
            None => &self.warnings,
        }
    }
}
