//! Reads the energy of each phase of a run.

use super::driven::Driven;
use super::engine_pids::PidsOverTime;
use joulemark_analysis::{PassStretches, RankPhase, phase_energy, stretches};
use joulemark_experiment::Spec;
use joulemark_measurement::{Phase, PhaseEnergy, Window};
use joulemark_meter::HostMeter;

/// Maximum number of windows that are read for one rank and phase. Each holds the meter's lock for about 50 µs, so all
/// together for 0.1 s.
const MAX_READ: usize = 2000;

/// Reads the energy of every phase from the meter's timeline. Blocks for up to 0.1 s per rank.
pub fn energy_by_phase(meter: &HostMeter, spec: &Spec, driven: &Driven, pids: &PidsOverTime) -> Vec<PhaseEnergy> {
    let cut: Vec<(u32, PassStretches)> = driven
        .passes
        .iter()
        .map(|pass| (pass.rank, stretches(&pass.requests)))
        .collect();
    let ranks = 0..spec.num_processes;
    let of_phase = |phase: Phase, windows_of: &dyn Fn(u32) -> Vec<Window>| {
        let read = ranks
            .clone()
            .map(|rank| read(meter, windows_of(rank), (rank, spec.gpus_of_rank(rank)), pids));
        phase_energy(phase, &read.collect::<Vec<_>>())
    };
    let of_pass = |rank: u32, part: fn(&PassStretches) -> &Vec<Window>| {
        let own = cut.iter().filter(|(of, _)| *of == rank);
        own.flat_map(|(_, cut)| part(cut)).copied().collect()
    };
    vec![
        of_phase(Phase::ModelLoad, &|rank| {
            driven
                .loads
                .iter()
                .filter(|load| load.rank == rank)
                .map(|load| load.window)
                .collect()
        }),
        of_phase(Phase::WarmUp, &|rank| {
            driven
                .warm_ups
                .iter()
                .filter(|(of, _)| *of == rank)
                .map(|(_, window)| *window)
                .collect()
        }),
        of_phase(Phase::Prefill, &|rank| of_pass(rank, |cut| &cut.prefill)),
        of_phase(Phase::Decode, &|rank| of_pass(rank, |cut| &cut.decode)),
    ]
}

fn read(meter: &HostMeter, windows: Vec<Window>, (rank, gpus): (u32, &[String]), pids: &PidsOverTime) -> RankPhase {
    // A skipped warm-up has a window of length 0.
    let windows: Vec<Window> = windows
        .into_iter()
        .filter(|window| window.duration_sec() > 0.0)
        .collect();
    let step = windows.len().div_ceil(MAX_READ).max(1);
    let chosen = windows.iter().step_by(step);
    let reading = |window: &Window| (*window, meter.read(window, gpus, pids.at(window).of_rank(rank)));
    let readings = chosen.map(reading).collect();
    RankPhase { windows, readings }
}
