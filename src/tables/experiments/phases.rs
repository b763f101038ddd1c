//! Columns of the phases.

use super::row::ExperimentRow;
use crate::tables::column::{Column, number, text, word};
use joulemark_measurement::{Phase, PhaseEnergy};

/// Returns the columns of energy and time by phase.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    vec![
        number(
            "model_load_energy_j",
            "Energy of the model load, joules; not in `total_energy_j`.",
            |row| phase(row, Phase::ModelLoad)?.total_energy_j,
        ),
        number(
            "warm_up_energy_j",
            "Energy of the warm-up, joules; not in `total_energy_j`.",
            |row| phase(row, Phase::WarmUp)?.total_energy_j,
        ),
        number("prefill_energy_j", "Energy of the prefill, joules.", |row| {
            phase(row, Phase::Prefill)?.total_energy_j
        }),
        number(
            "prefill_duration_sec",
            "Time in which a rank was in the prefill, seconds.",
            |row| Some(phase(row, Phase::Prefill)?.duration_sec),
        ),
        text("prefill_energy_confidence", "`high`, `medium` or `low`.", |row| {
            word(phase(row, Phase::Prefill)?.confidence)
        }),
        number("decode_energy_j", "Energy of the decode, joules.", |row| {
            phase(row, Phase::Decode)?.total_energy_j
        }),
        number(
            "decode_duration_sec",
            "Time in which a rank was in the decode, seconds.",
            |row| Some(phase(row, Phase::Decode)?.duration_sec),
        ),
        text("decode_energy_confidence", "`high`, `medium` or `low`.", |row| {
            word(phase(row, Phase::Decode)?.confidence)
        }),
    ]
}

fn phase(row: &ExperimentRow, phase: Phase) -> Option<&PhaseEnergy> {
    let mut phases = row.report.as_ref()?.energy.phases.iter();
    phases.find(|energy| energy.phase == phase)
}
