//! What the meter tells beside energy: devices over time, their state just now, and what disturbed an experiment.
//! Hooks the telemetry to the meter's thread; deliberately does not know what is read or what is notable.

use std::path::Path;
use std::time::Duration;

use super::{HostMeter, lock};
use crate::clock::Monotonic;
use crate::energy::baseline::{self, Unrest};
use crate::energy::device_series::{of_gpu, of_zone};
use crate::energy::environment::{Surroundings, Watched, disturbances, pids_are_the_hosts};
use crate::energy::series::Span;
use crate::energy::source::EnergySource;
use crate::energy::telemetry::{GpuState, SharedLog, TelemetryLog, TelemetryPace};
use crate::experiment::Warning;
use crate::measurement::{DeviceSeries, IdlePower, Window};

/// Drivers name processes of the host; this link says whether this process's numbers are the host's.
const PID_NAMESPACE: &str = "/proc/self/ns/pid";

/// The log and the hand that fills it, of the first source that has any.
pub fn telemetry(sources: &[Box<dyn EnergySource>], interval: Duration) -> (SharedLog, TelemetryPace) {
    let source = sources.iter().find_map(|source| source.telemetry());
    let gpus = source.as_ref().map(|source| source.gpus().to_vec()).unwrap_or_default();
    let pids_are_ours = pids_are_the_hosts(Path::new(PID_NAMESPACE));
    let log = SharedLog::new(TelemetryLog::new(&gpus, interval.as_secs_f64(), pids_are_ours));
    (log.clone(), TelemetryPace::new(source, log))
}

impl HostMeter {
    /// How often every source is sampled, in seconds: what was asked for, or less where a counter could wrap unseen.
    pub fn sample_interval_sec(&self) -> f64 {
        self.0.telemetry.lock().interval_sec
    }

    /// The GPUs asked for over `window`, in that order, then every zone of the host.
    pub fn device_series(&self, gpu_uuids: &[String], window: &Window) -> Vec<DeviceSeries> {
        let span = Span::from(window);
        let sources = lock(&self.0.timeline).tracks().len();
        // Device by device: hours of samples take milliseconds each, and the meter waits while it is looked at.
        let gpus = gpu_uuids
            .iter()
            .map(|uuid| self.look(|surroundings| of_gpu(surroundings, uuid, span)));
        let mut series: Vec<_> = gpus.collect();
        series.extend((0..sources).filter_map(|source| self.look(|surroundings| of_zone(surroundings, source, span))));
        series
    }

    /// A GPU's clocks, temperature and limits just now; none of a GPU that NVML does not tell of.
    pub fn gpu_state(&self, uuid: &str) -> Option<GpuState> {
        let log = self.0.telemetry.lock();
        log.gpu(uuid).map(|history| GpuState::at(history, Monotonic::now()))
    }

    /// What a careful reader should know of the devices' surroundings in these cycles.
    pub fn disturbances(&self, watched: &Watched) -> Vec<Warning> {
        self.look(|surroundings| disturbances(surroundings, watched))
    }

    /// What every source drew over the newest stretch of rest since `quiet_since`; nothing is read for its sake.
    ///
    /// # Errors
    /// [`Unrest`] says why there is no such stretch.
    pub fn idle_powers(&self, quiet_since: Monotonic) -> Result<Vec<IdlePower>, Unrest> {
        self.look(|surroundings| baseline::idle_powers(surroundings, quiet_since))
    }

    /// What every source drew over `window`, in which the caller knows that nothing ran. May block like `edge`.
    pub fn powers_over(&self, window: &Window) -> Vec<IdlePower> {
        self.catch_up(window);
        self.look(|surroundings| baseline::idle_powers_over(surroundings.timeline, window))
    }

    fn look<T>(&self, at: impl FnOnce(Surroundings<'_>) -> T) -> T {
        let timeline = lock(&self.0.timeline);
        let telemetry = self.0.telemetry.lock();
        let logical_cpus = self.0.devices.cpu.logical_cpus;
        at(Surroundings {
            timeline: &timeline,
            telemetry: &telemetry,
            logical_cpus,
        })
    }
}
