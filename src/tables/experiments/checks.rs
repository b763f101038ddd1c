//! Columns of the validation checks.

use super::row::ExperimentRow;
use crate::tables::column::{Column, count, json, number, text, word};
use joulemark_experiment::report::{RepetitionReport, Validation};

/// Returns the columns of the checks made before aggregation.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        text(
            "temporal_overlap",
            "Whether all ranks ran at the same time: `passed`, `failed` or `not_applicable`.",
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
        json(
            "disturbed_cycles",
            "Numbers of cycles disturbed by other programs or throttling, a JSON list.",
            |row: &ExperimentRow| {
                let disturbed = &repetition(row)?.disturbed_cycles;
                Some(disturbed.iter().map(|disturbed| disturbed.cycle).collect())
            },
        ),
        count(
            "repeated_cycles",
            "Cycles measured beyond `num_cycles` to replace disturbed ones.",
            |row: &ExperimentRow| Some(repetition(row)?.repeated_cycles.into()),
        ),
    ]
}

fn repetition(row: &ExperimentRow) -> Option<&RepetitionReport> {
    row.report.as_ref()?.repetition.as_ref()
}

fn validation(row: &ExperimentRow) -> Option<&Validation> {
    row.report.as_ref().map(|report| &report.validation)
}
