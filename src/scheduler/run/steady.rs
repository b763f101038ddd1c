//! Reads the meter for the steady part of each cycle, in which the load was full.

use std::collections::BTreeSet;

use super::driven::{Driven, RankPass};
use super::measured::Measured;
use joulemark_analysis::{CycleHost, IdleState, RankRequests, SteadyPart, steady_inference, steady_window};
use joulemark_measurement::{ComputeMetrics, RankCycle, Window};

/// Returns the steady part of each measured cycle, in order.
pub fn steady_parts(of: &Measured<'_>, driven: &Driven, bare: &IdleState) -> Vec<SteadyPart> {
    let cycles: BTreeSet<u32> = driven.passes.iter().map(|pass| pass.cycle).collect();
    let part = |cycle: u32| {
        let passes: Vec<&RankPass> = driven.passes.iter().filter(|pass| pass.cycle == cycle).collect();
        let requests: Vec<RankRequests<'_>> = passes.iter().map(|pass| requests_of(pass)).collect();
        let window = steady_window(of.spec, &requests);
        let (ranks, host) = match &window {
            Ok(window) => (
                passes.iter().map(|pass| rank_cycle(of, pass, window, bare)).collect(),
                Some(CycleHost {
                    cycle,
                    energy: of.meter.read(window, &of.spec.gpus, &of.pids.at(window).all()),
                }),
            ),
            Err(_) => (Vec::new(), None),
        };
        Some(SteadyPart {
            cycle,
            whole: driven.hull_of(cycle)?,
            window,
            ranks,
            host,
        })
    };
    cycles.into_iter().filter_map(part).collect()
}

fn requests_of(pass: &RankPass) -> RankRequests<'_> {
    RankRequests {
        rank: pass.rank,
        window: pass.window,
        requests: &pass.requests,
        failed: &pass.failed,
    }
}

fn rank_cycle(of: &Measured<'_>, pass: &RankPass, window: &Window, bare: &IdleState) -> RankCycle {
    let gpus = of.spec.gpus_of_rank(pass.rank);
    let (inference, requests) = steady_inference(of.spec, &requests_of(pass), window);
    let mut energy = of.meter.read(window, gpus, of.pids.at(window).of_rank(pass.rank));
    energy.host_idle_energy_j = joulemark_analysis::host_idle_energy_j(&energy, bare);
    RankCycle {
        rank: pass.rank,
        cycle: pass.cycle,
        gpus: gpus.to_vec(),
        window: *window,
        inference,
        energy,
        compute: ComputeMetrics::default(),
        requests,
        failed_requests: Vec::new(),
        load_generator: None,
        server_report: None,
    }
}
