//! Reads the power limits and clocks of the leased GPUs in the measured cycles from the meter.

use super::driven::Driven;
use joulemark_analysis::{GpuSettings, LimitChange, range};
use joulemark_experiment::Spec;
use joulemark_experiment::report::{GpuClocks, GpuPowerLimit};
use joulemark_measurement::{SeriesPoint, Window, is_same_power_limit};
use joulemark_meter::HostMeter;

/// Returns the requested and the actual power limit and clocks of each leased GPU. Blocks.
pub fn gpu_settings(meter: &HostMeter, spec: &Spec, driven: &Driven) -> GpuSettings {
    let cycles = driven.cycles().into_iter().filter_map(|cycle| driven.hull_of(cycle));
    let series: Vec<_> = cycles.flat_map(|hull| meter.device_series(&spec.gpus, &hull)).collect();
    let of_gpu = |uuid: &String| {
        let own = series.iter().filter(|device| device.gpu_uuid.as_ref() == Some(uuid));
        let points: Vec<&SeriesPoint> = own.flat_map(|device| &device.points).collect();
        let readings = |of: fn(&SeriesPoint) -> Option<f64>| range(points.iter().filter_map(|point| of(point)));
        let set = driven.boards.iter().find(|board| board.uuid == *uuid);
        let limit = GpuPowerLimit {
            gpu: uuid.clone(),
            asked_w: spec.power_limit_w,
            before_w: set
                .filter(|_| spec.power_limit_w.is_some())
                .and_then(|board| board.limit_before_w),
            in_force_w: readings(|point| point.power_limit_w),
        };
        let clocks = GpuClocks {
            gpu: uuid.clone(),
            asked_gpu_clock_mhz: spec.gpu_clock_mhz,
            asked_memory_clock_mhz: spec.memory_clock_mhz,
            sm_clock_mhz: readings(|point| point.sm_clock_mhz),
            memory_clock_mhz: readings(|point| point.memory_clock_mhz),
        };
        (limit, clocks)
    };
    let (power_limits, clocks) = spec.gpus.iter().map(of_gpu).unzip();
    GpuSettings { power_limits, clocks }
}

/// Returns a power limit in a cycle that differs from the one that was set; `None` when there is none or none was set.
pub fn limit_change(meter: &HostMeter, driven: &Driven, cycle: u32) -> Option<LimitChange> {
    let hull = driven.hull_of(cycle)?;
    // The limits were set before the model was loaded.
    let since_set = Window {
        start_monotonic_sec: driven.load_started_monotonic_sec.unwrap_or(hull.start_monotonic_sec),
        ..hull
    };
    let set = driven
        .boards
        .iter()
        .filter_map(|board| Some((&board.uuid, board.limit_in_force_w?)));
    set.into_iter().find_map(|(uuid, set_w)| {
        let uuids = [uuid.clone()];
        let series = tokio::task::block_in_place(|| meter.device_series(&uuids, &hull));
        let own = series.iter().filter(|device| device.gpu_uuid.as_ref() == Some(uuid));
        let mut limits = own
            .flat_map(|device| &device.points)
            .filter_map(|point| point.power_limit_w);
        let found_w = limits.find(|limit| !is_same_power_limit(*limit, set_w))?;
        Some(LimitChange {
            cycle,
            gpu: uuid.clone(),
            set_w,
            found_w,
            away: away(meter, uuid, found_w, &since_set),
        })
    })
}

/// Returns why a GPU was missing within a window, if it now has the driver's default limit: then the driver was
/// reloaded and lost the setting.
fn away(meter: &HostMeter, uuid: &str, found_w: f64, window: &Window) -> Option<String> {
    let gpus = meter.devices().gpus;
    let limits = gpus.iter().find(|gpu| gpu.uuid == uuid)?.power_limits.as_ref()?;
    let is_default = limits
        .default_w
        .is_none_or(|default_w| is_same_power_limit(default_w, found_w));
    is_default.then(|| meter.gpu_absence(uuid, window)).flatten()
}
