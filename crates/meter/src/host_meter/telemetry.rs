//! Connects a source's telemetry with the meter's thread. Deliberately does not know what is read.

use std::path::Path;
use std::time::Duration;

use crate::environment::pids_are_the_hosts;
use crate::source::EnergySource;
use crate::telemetry::{SharedLog, TelemetryLog, TelemetryPace};

/// Drivers name processes of the host; this link says whether this process's numbers are the host's.
const PID_NAMESPACE: &str = "/proc/self/ns/pid";

/// Returns the log, and what fills it, for the first source that has telemetry; an empty log when none has.
pub fn open(sources: &[Box<dyn EnergySource>], interval: Duration) -> (SharedLog, TelemetryPace) {
    let source = sources.iter().find_map(|source| source.telemetry());
    let gpus = source.as_ref().map(|source| source.gpus().to_vec()).unwrap_or_default();
    let pids_are_ours = pids_are_the_hosts(Path::new(PID_NAMESPACE));
    let log = SharedLog::new(TelemetryLog::new(&gpus, interval.as_secs_f64(), pids_are_ours));
    (log.clone(), TelemetryPace::new(source, log))
}
