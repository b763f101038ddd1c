use super::row::ExperimentRow;
use crate::tables::column::{Column, number, text, word, words};
use joulemark_analysis::{Certainty, EnergyPart, certainty, total_uncertainty_j, uncertainty_j};
use joulemark_measurement::{Baseline, BaselineKind, EnergyMetrics, Phase, PhaseEnergy};

/// Joules, watts, how they are known, the idle baselines, and the phases.
pub fn columns() -> Vec<Column<ExperimentRow>> {
    let mut columns = totals();
    columns.extend(parts());
    columns.extend(host());
    columns.extend(baselines());
    columns.extend(phases());
    columns
}

fn totals() -> Vec<Column<ExperimentRow>> {
    vec![
        number("duration_sec", "Length of the measurement windows, seconds.", |row| {
            energy(row)?.duration_sec
        }),
        number(
            "total_energy_j",
            "GPU + CPU + DRAM energy, joules; a part that is unknown is left out and warned of.",
            |row| energy(row)?.total_energy_j,
        ),
        number(
            "total_energy_uncertainty_j",
            "Half-width of the interval around `total_energy_j`, joules, the parts' added; an estimate.",
            |row| total_uncertainty_j(energy(row)?),
        ),
    ]
}

fn parts() -> Vec<Column<ExperimentRow>> {
    vec![
        number("gpu_energy_j", "The experiment's GPUs, whole boards, joules.", |row| {
            energy(row)?.gpu_energy_j
        }),
        number(
            "gpu_energy_uncertainty_j",
            "Half-width around `gpu_energy_j`, joules, the GPUs' added.",
            |row| uncertainty_j(energy(row)?, EnergyPart::Gpu),
        ),
        text(
            "gpu_energy_source",
            "Where `gpu_energy_j` comes from; several with a + between.",
            |row| words(&known_by(row, EnergyPart::Gpu)?.sources),
        ),
        text(
            "gpu_energy_method",
            "`energy_counter`, `power_integration` or `estimate`.",
            |row| words(&known_by(row, EnergyPart::Gpu)?.methods),
        ),
        text(
            "gpu_energy_confidence",
            "`high`, `medium` or `low`, of the least sure source.",
            |row| word(known_by(row, EnergyPart::Gpu)?.confidence),
        ),
        number("gpu_power_w", "`gpu_energy_j` / `duration_sec`, watts.", |row| {
            energy(row)?.gpu_power_w
        }),
        number(
            "cpu_energy_j",
            "The experiment's share, by CPU time, of the packages' energy, joules.",
            |row| energy(row)?.cpu_energy_j,
        ),
        number(
            "cpu_energy_uncertainty_j",
            "Half-width around `cpu_energy_j`, joules: the share of the packages'; an estimate.",
            |row| uncertainty_j(energy(row)?, EnergyPart::Cpu),
        ),
        text(
            "cpu_energy_source",
            "Where `cpu_energy_j` comes from; several with a + between.",
            |row| words(&known_by(row, EnergyPart::Cpu)?.sources),
        ),
        text(
            "cpu_energy_method",
            "`energy_counter`, `power_integration` or `estimate`.",
            |row| words(&known_by(row, EnergyPart::Cpu)?.methods),
        ),
        text(
            "cpu_energy_confidence",
            "`high`, `medium` or `low`, of the least sure source.",
            |row| word(known_by(row, EnergyPart::Cpu)?.confidence),
        ),
        number("cpu_power_w", "`cpu_energy_j` / `duration_sec`, watts.", |row| {
            energy(row)?.cpu_power_w
        }),
        number(
            "dram_energy_j",
            "The experiment's share, by CPU time, of the memory's energy, joules.",
            |row| energy(row)?.dram_energy_j,
        ),
        number(
            "dram_energy_uncertainty_j",
            "Half-width around `dram_energy_j`, joules: the share of the memory's; an estimate.",
            |row| uncertainty_j(energy(row)?, EnergyPart::Dram),
        ),
        text(
            "dram_energy_source",
            "Where `dram_energy_j` comes from; several with a + between.",
            |row| words(&known_by(row, EnergyPart::Dram)?.sources),
        ),
        text(
            "dram_energy_method",
            "`energy_counter`, `power_integration` or `estimate`.",
            |row| words(&known_by(row, EnergyPart::Dram)?.methods),
        ),
        text(
            "dram_energy_confidence",
            "`high`, `medium` or `low`, of the least sure source.",
            |row| word(known_by(row, EnergyPart::Dram)?.confidence),
        ),
    ]
}

fn host() -> Vec<Column<ExperimentRow>> {
    vec![
        number(
            "host_cpu_energy_j",
            "All CPU packages of the host, whoever caused it, joules.",
            |row| energy(row)?.host_cpu_energy_j,
        ),
        number(
            "host_dram_energy_j",
            "All memory of the host, whoever caused it, joules.",
            |row| energy(row)?.host_dram_energy_j,
        ),
        number(
            "host_idle_energy_j",
            "The host's energy while its CPUs were idle, joules.",
            |row| energy(row)?.host_idle_energy_j,
        ),
        number(
            "host_other_energy_j",
            "What of `host_cpu_energy_j` no experiment caused, joules.",
            |row| energy(row)?.host_other_energy_j,
        ),
        number(
            "cpu_time_share",
            "The experiment's share of the host's busy CPU time, 0 to 1.",
            |row| energy(row)?.cpu_time_share,
        ),
    ]
}

fn baselines() -> Vec<Column<ExperimentRow>> {
    vec![
        number(
            "bare_baseline_power_w",
            "Idle power with nothing loaded, watts; subtracted from nothing.",
            |row| baseline(row, BaselineKind::Bare)?.baseline_power_w,
        ),
        number(
            "bare_marginal_energy_j",
            "Energy above the bare baseline, joules.",
            |row| baseline(row, BaselineKind::Bare)?.marginal_energy_j,
        ),
        number(
            "loaded_baseline_power_w",
            "Idle power with the model in memory, watts; subtracted from nothing.",
            |row| baseline(row, BaselineKind::Loaded)?.baseline_power_w,
        ),
        number(
            "loaded_marginal_energy_j",
            "Energy above the loaded baseline, joules.",
            |row| baseline(row, BaselineKind::Loaded)?.marginal_energy_j,
        ),
    ]
}

fn phases() -> Vec<Column<ExperimentRow>> {
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

fn energy(row: &ExperimentRow) -> Option<&EnergyMetrics> {
    row.report.as_ref().map(|report| &report.energy)
}

fn known_by(row: &ExperimentRow, part: EnergyPart) -> Option<Certainty> {
    energy(row).map(|energy| certainty(energy, part))
}

fn baseline(row: &ExperimentRow, kind: BaselineKind) -> Option<&Baseline> {
    energy(row)?.baselines.iter().find(|baseline| baseline.kind == kind)
}

fn phase(row: &ExperimentRow, phase: Phase) -> Option<&PhaseEnergy> {
    energy(row)?.phases.iter().find(|energy| energy.phase == phase)
}
