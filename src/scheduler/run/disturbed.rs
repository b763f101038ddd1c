//! Which cycles others disturbed. Owns what counts as such; what is noticed is the meter's.

use super::driven::Driven;
use super::engine_pids::PidsOverTime;
use super::observations::watched;
use joulemark_experiment::Spec;
use joulemark_experiment::report::DisturbedCycle;
use joulemark_measurement::WarningCode;
use joulemark_meter::HostMeter;

/// What makes a cycle another than the others, through no doing of the experiment. What all cycles have alike, such as a setting
/// of the board, is none of these.
const DISTURBING: [WarningCode; 3] = [
    WarningCode::ForeignGpuProcess,
    WarningCode::ForeignCpuLoad,
    WarningCode::Throttled,
];

/// Returns a cycle with what disturbed it; `None` for one that nothing did. May block until the meter has read all of it.
pub fn disturbed(
    meter: &HostMeter,
    spec: &Spec,
    driven: &Driven,
    pids: &PidsOverTime,
    cycle: u32,
) -> Option<DisturbedCycle> {
    let window = driven.hull_of(cycle)?;
    let mut reasons = meter.disturbances(&watched(spec, &pids.at(&window), vec![(cycle, window)]));
    reasons.retain(|reason| DISTURBING.contains(&reason.code));
    (!reasons.is_empty()).then_some(DisturbedCycle { cycle, reasons })
}
