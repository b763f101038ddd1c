//! Reports what the meter knows beside energy: devices over time, their present state, and what disturbed a
//! measurement. Leaves what is read, and what is worth a warning, to other modules.

use super::HostMeter;
use super::lock::lock;
use crate::baseline::{self, NotIdle};
use crate::device_series::{of_gpu, of_zone};
use crate::environment::{Surroundings, Watched, disturbances};
use crate::estimation::series::Span;
use crate::telemetry::{GpuState, Held};
use joulemark_measurement::Warning;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{DeviceSeries, GpuMemory, IdlePower, Window};

impl HostMeter {
    /// Returns the interval between two samples of every source in seconds: the requested one, or a shorter one where a
    /// counter could wrap unseen.
    pub fn sample_interval_sec(&self) -> f64 {
        self.0.telemetry.lock().interval_sec
    }

    /// Returns the samples over `window` of these GPUs, in this order, then of every zone of the host.
    pub fn device_series(&self, gpu_uuids: &[String], window: &Window) -> Vec<DeviceSeries> {
        let span = Span::from(window);
        let sources = lock(&self.0.timeline).tracks().len();
        // Device by device: hours of samples take milliseconds each, and the meter waits while the lock is held.
        let gpus = gpu_uuids
            .iter()
            .map(|uuid| self.look(|surroundings| of_gpu(surroundings, uuid, span)));
        let mut series: Vec<_> = gpus.collect();
        series.extend((0..sources).filter_map(|source| self.look(|surroundings| of_zone(surroundings, source, span))));
        series
    }

    /// Returns a GPU's present clocks, temperature and limits; `None` for a GPU without telemetry.
    pub fn gpu_state(&self, uuid: &str) -> Option<GpuState> {
        let log = self.0.telemetry.lock();
        log.gpu(uuid).map(|history| GpuState::at(history, Monotonic::now()))
    }

    /// Returns the reason why a GPU was away for a part of `window`, for example while its driver was reloaded; `None`
    /// when it was not.
    pub fn gpu_absence(&self, uuid: &str, window: &Window) -> Option<String> {
        let log = self.0.telemetry.lock();
        let absence = log.gpu(uuid)?.first_absence(Span::from(window))?;
        Some(absence.why.clone())
    }

    /// Returns the maximum memory in bytes in use on each of these GPUs over `window`, as sampled, summed over the
    /// GPUs. Returns `None` when one of them does not report it, and when `gpu_uuids` is empty.
    pub fn peak_gpu_memory_bytes(&self, gpu_uuids: &[String], window: &Window) -> Option<u64> {
        let span = Span::from(window);
        let log = self.0.telemetry.lock();
        let peak = |uuid: &String| log.gpu(uuid)?.peak_memory_bytes(span);
        gpu_uuids
            .iter()
            .map(peak)
            .try_fold(0, |sum, peak| Some(sum + peak?))
            .filter(|_| !gpu_uuids.is_empty())
    }

    /// Returns the memory that a load took on each of these GPUs. `load` is the time of loading, `until` the end of the
    /// measurement, and `pids` are the load's processes.
    pub fn loaded_gpu_memory(
        &self,
        gpu_uuids: &[String],
        load: &Window,
        until: Monotonic,
        pids: &[u32],
    ) -> Vec<GpuMemory> {
        let log = self.0.telemetry.lock();
        let held = Held {
            load: Span::from(load),
            until,
            pids: (log.pids_are_ours && !pids.is_empty()).then_some(pids),
        };
        let of = |uuid: &String| match log.gpu(uuid) {
            Some(history) => history.memory_of(&held),
            None => GpuMemory::unknown(uuid),
        };
        gpu_uuids.iter().map(of).collect()
    }

    /// Returns the warnings on everything that disturbed these GPUs and the host's CPUs in the windows of `watched`:
    /// other processes, lowered clocks, temperature, and settings that cost energy. The messages number the windows as
    /// cycles.
    pub fn disturbances(&self, watched: &Watched) -> Vec<Warning> {
        self.look(|surroundings| disturbances(surroundings, watched))
    }

    /// Returns the idle baseline: each source's power over the longest window up to the newest sample in which the host
    /// was idle. The window begins at `quiet_since` or later. Reads no source.
    ///
    /// # Errors
    /// Returns a [`NotIdle`] when there is no such window.
    pub fn idle_powers(&self, quiet_since: Monotonic) -> Result<Vec<IdlePower>, NotIdle> {
        self.look(|surroundings| baseline::idle_powers(surroundings, quiet_since))
    }

    /// Returns each source's power over `window`, without a check that the host was idle. Blocks like
    /// [`read`](Self::read).
    pub fn powers_over(&self, window: &Window) -> Vec<IdlePower> {
        self.catch_up(window);
        self.look(|surroundings| baseline::idle_powers_over(surroundings.timeline, window))
    }

    /// Calls `at` with the timeline and the telemetry locked.
    fn look<T>(&self, at: impl FnOnce(Surroundings<'_>) -> T) -> T {
        let timeline = lock(&self.0.timeline);
        let telemetry = self.0.telemetry.lock();
        let logical_cpus = self.0.host_cpus;
        at(Surroundings {
            timeline: &timeline,
            telemetry: &telemetry,
            logical_cpus,
        })
    }
}
