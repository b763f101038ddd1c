//! Columns of the idle baselines.

use super::row::ExperimentRow;
use crate::tables::column::{Column, number};
use joulemark_measurement::{Baseline, BaselineKind};

/// Returns the columns of idle power and of the energy above it.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        number(
            "bare_baseline_power_w",
            "Idle power with nothing loaded, watts; not subtracted from any value.",
            |row| baseline(row, BaselineKind::Bare)?.baseline_power_w,
        ),
        number(
            "bare_marginal_energy_j",
            "Energy above the bare baseline, joules.",
            |row| baseline(row, BaselineKind::Bare)?.marginal_energy_j,
        ),
        number(
            "loaded_baseline_power_w",
            "Idle power with the model in memory, watts; not subtracted from any value.",
            |row| baseline(row, BaselineKind::Loaded)?.baseline_power_w,
        ),
        number(
            "loaded_marginal_energy_j",
            "Energy above the loaded baseline, joules.",
            |row| baseline(row, BaselineKind::Loaded)?.marginal_energy_j,
        ),
    ]
}

fn baseline(row: &ExperimentRow, kind: BaselineKind) -> Option<&Baseline> {
    let mut baselines = row.report.as_ref()?.energy.baselines.iter();
    baselines.find(|baseline| baseline.kind == kind)
}
