//! Decides which cycles other programs or throttling disturbed. Leaves the detection to the meter.

use super::driven::Driven;
use super::engine_pids::PidsOverTime;
use super::observations::watched;
use joulemark_experiment::Spec;
use joulemark_experiment::report::DisturbedCycle;
use joulemark_measurement::WarningCode;
use joulemark_meter::HostMeter;

/// Warnings about things that made a cycle differ from the others and that the experiment did not cause. What all
/// cycles have in common, such as a setting of the board, is not among them.
const DISTURBING: [WarningCode; 3] = [
    WarningCode::ForeignGpuProcess,
    WarningCode::ForeignCpuLoad,
    WarningCode::Throttled,
];

/// Returns a cycle with its disturbances; `None` when there were none. May block until the meter has read the whole
/// cycle.
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
