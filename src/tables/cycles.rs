//! Columns of the table of cycles.

use serde_json::Value;

use super::column::{Column, count, document, held, json, text};
use super::experiments::{HasFigures, columns_of_one_cycle};
use joulemark_analysis::metrics::{EnergyOf, Figures, Group, all};
use joulemark_experiment::report::CycleReport;
use joulemark_experiment::{ExperimentId, Spec};

/// A measured cycle of a completed experiment.
#[derive(Clone, Debug)]
pub struct CycleRow {
    id: ExperimentId,
    config_name: String,
    model_name: String,
    labels: Value,
    cycle: CycleReport,
}

impl CycleRow {
    /// Creates the row of a cycle, with the fields that identify its experiment.
    pub fn new(id: ExperimentId, spec: &Spec, cycle: CycleReport) -> Self {
        Self {
            id,
            config_name: spec.config_name.clone(),
            model_name: spec.model_name.clone(),
            labels: document(&spec.labels).unwrap_or_default(),
            cycle,
        }
    }
}

impl HasFigures for CycleRow {
    fn figures(&self) -> Option<Figures<'_>> {
        Some((&self.cycle).into())
    }
}

/// Returns the columns: the origin of the cycle, then its metrics in the order of an experiment's.
pub fn columns() -> Vec<Column<CycleRow>> {
    let of = |group| columns_of_one_cycle(all(), group);
    let energy = EnergyOf::ALL.map(Group::Energy);
    let groups = [
        origin(),
        of(Group::Inference),
        of(Group::Efficiency),
        energy.into_iter().flat_map(of).collect(),
        of(Group::Compute),
        of(Group::Roofline),
    ];
    groups.into_iter().flatten().collect()
}

fn origin() -> Vec<Column<CycleRow>> {
    vec![
        text("id", "The experiment's id.", |row: &CycleRow| {
            Some(row.id.to_string().into())
        }),
        text("config_name", "The experiment's name.", |row| held(&row.config_name)),
        text("model_name", "The model, as it was submitted.", |row| {
            held(&row.model_name)
        }),
        json("labels", "The experiment's labels, an object.", |row| {
            Some(row.labels.clone())
        }),
        count("cycle", "Number of the cycle, from 0; warm-up is not a cycle.", |row| {
            Some(row.cycle.cycle.into())
        }),
    ]
}
