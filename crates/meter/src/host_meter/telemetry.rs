//! Connects each source with the telemetry of its devices. Leaves what is read to `telemetry`.

use std::path::Path;
use std::time::Duration;

use super::unit::Unit;
use crate::environment::pids_are_the_hosts;
use crate::source::EnergySource;
use crate::telemetry::{SharedLog, TelemetryLog, TelemetryPace};

/// Link to the pid namespace of this process.
const PID_NAMESPACE: &str = "/proc/self/ns/pid";

/// Returns the sources with their telemetry, and the log that the telemetry is written to.
pub fn open(sources: Vec<Box<dyn EnergySource>>, interval: Duration) -> (SharedLog, Vec<Unit>) {
    let with_telemetry = sources.into_iter().map(|source| (source.telemetry(), source));
    let with_telemetry: Vec<_> = with_telemetry.collect();
    let gpus = with_telemetry.iter().filter_map(|(telemetry, _)| telemetry.as_ref());
    let gpus: Vec<_> = gpus.flat_map(|telemetry| telemetry.gpus().to_vec()).collect();
    let pids_are_ours = pids_are_the_hosts(Path::new(PID_NAMESPACE));
    let log = SharedLog::new(TelemetryLog::new(&gpus, interval.as_secs_f64(), pids_are_ours));
    let (mut first_track, mut first_gpu) = (0, 0);
    let units = with_telemetry.into_iter().map(|(telemetry, source)| {
        let pace = telemetry.map(|telemetry| {
            let count = telemetry.gpus().len();
            let pace = TelemetryPace::new(telemetry, log.clone(), first_gpu);
            first_gpu += count;
            pace
        });
        let unit = Unit::new(source, pace, first_track);
        first_track += unit.track_count;
        unit
    });
    let units = units.collect();
    (log, units)
}
