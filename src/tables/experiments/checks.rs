use super::row::ExperimentRow;
use crate::tables::column::{Column, number, text, word};
use joulemark_experiment::report::Validation;

/// The checks made before aggregation.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        text(
            "temporal_overlap",
            "Whether ranks ran at the same time: `passed`, `failed` or `not_applicable`.",
            |row| word(validation(row)?.temporal_overlap),
        ),
        number(
            "overlap_ratio",
            "Smallest overlap of the ranks' windows, 0 to 1.",
            |row| validation(row)?.overlap_ratio,
        ),
        text(
            "gpu_attribution",
            "Whether each GPU belongs to one rank: `passed`, `failed` or `not_applicable`.",
            |row| word(validation(row)?.gpu_attribution),
        ),
        number(
            "imbalance_ratio",
            "Longest window of a rank over the shortest.",
            |row| validation(row)?.imbalance_ratio,
        ),
    ]
}

fn validation(row: &ExperimentRow) -> Option<&Validation> {
    row.report.as_ref().map(|report| &report.validation)
}
