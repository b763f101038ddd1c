//! Reads from the meter what is stored with a run's result: the time series of its devices, and disturbances.

use super::driven::Driven;
use super::engine_pids::{EnginePids, PidsOverTime};
use joulemark_experiment::{Device, Spec, Warning, WarningCode};
use joulemark_measurement::Window;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_meter::{HostMeter, Watched, WatchedGpu};
use joulemark_store::Timeseries;

/// Returns warnings about disturbances of the measured cycles; the processes of a cycle's own run are not foreign to
/// it.
pub fn disturbances(meter: &HostMeter, spec: &Spec, driven: &Driven, pids: &PidsOverTime) -> Vec<Warning> {
    let cycles = driven.cycles().into_iter();
    let cycles: Vec<(u32, Window)> = cycles
        .filter_map(|cycle| Some((cycle, driven.hull_of(cycle)?)))
        .collect();
    let of = |cycles: &[(u32, Window)]| {
        let own = cycles.first().map(|(_, window)| pids.at(window));
        meter.disturbances(&watched(spec, &own.unwrap_or_default(), cycles.to_vec()))
    };
    let mut warnings = of(&cycles);
    let of_same_processes: Vec<_> = cycles.chunk_by(|(_, a), (_, b)| pids.at(a) == pids.at(b)).collect();
    if of_same_processes.len() > 1 {
        // All other warnings do not depend on the processes, so they cover all cycles together.
        let is_foreign = |warning: &Warning| warning.code == WarningCode::ForeignGpuProcess;
        warnings.retain(|warning| !is_foreign(warning));
        warnings.extend(of_same_processes.into_iter().flat_map(of).filter(is_foreign));
    }
    warnings
}

/// Returns what the meter should check for disturbances in some cycles.
pub fn watched(spec: &Spec, pids: &EnginePids, cycles: Vec<(u32, Window)>) -> Watched {
    Watched {
        cycles,
        gpus: watched_gpus(spec, pids),
        whose: "this server's experiments",
    }
}

/// Returns the time series of the experiment's devices since the claim.
pub async fn timeseries(meter: &HostMeter, spec: &Spec, claimed_at: Monotonic) -> Timeseries {
    let window = Window {
        start_monotonic_sec: claimed_at.as_sec(),
        end_monotonic_sec: Monotonic::now().as_sec(),
    };
    let (of, gpus) = (meter.clone(), spec.gpus.clone());
    // Hours of samples take a while to read.
    let devices = tokio::task::spawn_blocking(move || of.device_series(&gpus, &window)).await;
    Timeseries {
        window,
        sample_interval_ms: meter.sample_interval_sec() * MILLISECONDS_PER_SECOND,
        devices: devices.unwrap_or_default(),
    }
}

/// Returns the GPUs of each rank with the processes that may compute on them. On the CPU, an experiment leases and
/// meters GPUs that none of its processes computes on.
fn watched_gpus(spec: &Spec, pids: &EnginePids) -> Vec<WatchedGpu> {
    let of_rank = |rank: u32| {
        let pids = if spec.device == Device::Cuda {
            pids.computing_of_rank(rank).to_vec()
        } else {
            Vec::new()
        };
        let gpus = spec.gpus_of_rank(rank).iter();
        gpus.map(|uuid| WatchedGpu {
            uuid: uuid.clone(),
            pids: pids.clone(),
        })
        .collect::<Vec<_>>()
    };
    (0..spec.num_processes).flat_map(of_rank).collect()
}
