//! Columns of the steady state.

use super::row::ExperimentRow;
use crate::tables::column::{Column, Values, column, held, number, text};
use joulemark_analysis::metrics::{Figures, Metric, Read};
use joulemark_experiment::report::SteadyState;
use joulemark_measurement::ComputeMetrics;

/// Returns the columns of the steady state: its duration, why there is none, and the metrics that also have a spread
/// over cycles.
pub fn columns(metrics: &[Metric]) -> Vec<Column<ExperimentRow>> {
    let spread = metrics.iter().filter(|metric| metric.has_spread());
    let mut columns = vec![
        number(
            "steady_state_duration_sec",
            "Time in which the load was full, over all cycles, seconds; unknown when a cycle has no steady state.",
            |row| steady(row)?.inference.as_ref()?.inference_time_sec,
        ),
        text(
            "steady_state_why_none",
            "Reason why there is no steady state; unknown when there is one.",
            |row: &ExperimentRow| held(steady(row)?.why_none.as_ref()?),
        ),
        number(
            "steady_state_total_energy_uncertainty_j",
            "Half-width of `steady_state_total_energy_j`, joules.",
            |row| steady(row)?.energy.as_ref()?.total_energy_uncertainty_j,
        ),
    ];
    columns.extend(spread.filter_map(of_metric));
    columns
}

fn of_metric(metric: &Metric) -> Option<Column<ExperimentRow>> {
    let Read::Number(read) = metric.read else { return None };
    let about = format!("`{}` of the steady state, {}.", metric.name, metric.unit);
    let value = move |row: &ExperimentRow| {
        let steady = steady(row)?;
        let compute = ComputeMetrics::default();
        read(Figures {
            inference: steady.inference.as_ref()?,
            energy: steady.energy.as_ref()?,
            compute: &compute,
            efficiency: steady.efficiency.as_ref()?,
        })
    };
    Some(column(
        format!("steady_state_{}", metric.name),
        about,
        Values::Number(Box::new(value)),
    ))
}

fn steady(row: &ExperimentRow) -> Option<&SteadyState> {
    row.report.as_ref()?.steady_state.as_deref()
}
