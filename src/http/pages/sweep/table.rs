//! The table of a sweep.

use crate::http::pages::experiment::checks::title;
use crate::http::pages::number;
use crate::http::pages::sweep_words::value_in_words;
use crate::http::sweeps::view::{SweepFigure, SweepRow};
use crate::http::sweeps::warnings::SweepWarning;
use joulemark_analysis::metrics::{Better, Metric};
use joulemark_experiment::{ExperimentId, WarningCode};

/// A metric's column.
pub struct Column {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: &'static str,
    /// Whether an energy that the metric is computed from is an estimate in some results.
    pub is_estimate: bool,
}

/// A kind of warning with its title.
pub struct WarningView {
    pub title: &'static str,
    pub experiments: u32,
    pub message: String,
}

/// Returns the warnings of the results.
pub fn warning_views(warnings: &[SweepWarning]) -> Vec<WarningView> {
    let view = |warning: &SweepWarning| WarningView {
        title: title(warning.code),
        experiments: warning.experiments,
        message: warning.message.replace('`', ""),
    };
    warnings.iter().map(view).collect()
}

/// A point's row.
pub struct RowView {
    pub point: u32,
    /// One value for each axis.
    pub values: Vec<String>,
    pub experiments: Vec<ExperimentId>,
    pub completed: u32,
    /// One figure for each metric.
    pub figures: Vec<String>,
}

impl RowView {
    /// Returns whether all experiments of the point completed.
    pub fn is_whole(&self) -> bool {
        self.completed as usize == self.experiments.len()
    }
}

/// Returns the columns of the metrics.
pub fn columns(metrics: &[&'static Metric], warnings: &[SweepWarning]) -> Vec<Column> {
    let has_estimates = warnings
        .iter()
        .any(|warning| warning.code == WarningCode::EnergyEstimated);
    let column = |metric: &&'static Metric| Column {
        name: metric.name,
        unit: metric.unit,
        better: match metric.better {
            Better::Lower => "lower is better",
            Better::Higher => "higher is better",
            Better::Neither => "",
        },
        is_estimate: has_estimates && metric.uses_host_energy(),
    };
    metrics.iter().map(column).collect()
}

/// Returns the rows with formatted figures.
pub fn row_views(table: &[SweepRow], metrics: &[&'static Metric]) -> Vec<RowView> {
    let row = |row: &SweepRow| RowView {
        point: row.point,
        values: row.values.values().map(value_in_words).collect(),
        experiments: row.experiments.clone(),
        completed: row.completed,
        figures: metrics
            .iter()
            .map(|metric| figure(row.metrics.get(metric.name)))
            .collect(),
    };
    table.iter().map(row).collect()
}

fn figure(figure: Option<&SweepFigure>) -> String {
    let Some(figure) = figure else { return String::new() };
    match figure.mean {
        Some(mean) => number::with_interval(mean, figure.ci_low.zip(figure.ci_high)),
        None => "–".to_owned(),
    }
}
