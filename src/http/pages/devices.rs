//! The devices of this host with their recent power.

use std::collections::{BTreeMap, HashMap};

use joulemark_charts::{Sparkline, Svg, sparkline};

use super::number;
use super::zones::is_package;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::scheduler::Lease;
use joulemark_analysis::resample;
use joulemark_experiment::ExperimentId;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{DeviceSeries, Window};
use joulemark_meter::{CpuDevice, GpuDevice, GpuState, HostMeter};

/// Length of a device's power chart, in seconds.
const SHOWN_SEC: f64 = 300.0;
/// Averaging step of the chart in seconds, about one pixel.
const STEP_SEC: f64 = 2.0;

/// Current state of a device as text, with a chart of its recent power.
pub struct DeviceRow {
    pub name: String,
    pub power: String,
    /// Further figures of the device: names and values.
    pub details: Vec<(&'static str, String)>,
    /// Why the device or its energy cannot be read.
    pub problem: Option<String>,
    pub leased_by: Option<ExperimentId>,
    pub line: Svg,
}

/// Returns the GPUs, then the CPU.
///
/// # Errors
/// Returns a [`Problem`] when reading the meter panics.
pub async fn device_rows(state: &AppState) -> Result<Vec<DeviceRow>, Problem> {
    let (meter, leases) = (state.resources.meter.clone(), state.scheduler.leases());
    // Reading minutes of samples of many GPUs takes a while.
    let rows = tokio::task::spawn_blocking(move || read(&meter, &leases)).await;
    rows.map_err(|error| {
        tracing::error!(%error, "the devices cannot be read");
        Problem::internal()
    })
}

fn read(meter: &HostMeter, leases: &HashMap<Lease, ExperimentId>) -> Vec<DeviceRow> {
    let now = Monotonic::now().as_sec();
    let window = Window {
        start_monotonic_sec: now - SHOWN_SEC,
        end_monotonic_sec: now,
    };
    let devices = meter.devices();
    let uuids: Vec<_> = devices.gpus.iter().map(|gpu| gpu.uuid.clone()).collect();
    let series = meter.device_series(&uuids, &window);
    let (of_gpus, of_zones) = series.split_at(uuids.len().min(series.len()));
    let gpus = devices.gpus.into_iter().zip(of_gpus).map(|(gpu, series)| {
        let leased_by = leases.get(&Lease::Gpu(gpu.uuid.clone())).copied();
        let state = meter.gpu_state(&gpu.uuid).unwrap_or_default();
        let line = line(&format!("GPU {}", gpu.index), &[series], &window);
        gpu_row(gpu, state, leased_by, line)
    });
    let packages: Vec<_> = of_zones.iter().filter(|zone| is_package(zone)).collect();
    let mut rows: Vec<_> = gpus.collect();
    let leased_by = leases.get(&Lease::Cpu).copied();
    rows.push(cpu_row(devices.cpu, leased_by, line("the CPU", &packages, &window)));
    rows
}

fn gpu_row(gpu: GpuDevice, state: GpuState, leased_by: Option<ExperimentId>, line: Svg) -> DeviceRow {
    let name = gpu.name.as_deref().unwrap_or("unnamed GPU");
    let limit = state
        .power_limit_w
        .map(|limit| format!(" of {} W", number::plain(limit)));
    let memory = state.memory_used_bytes.map(|used| {
        let used = number::bytes(used as f64);
        match gpu.memory_bytes {
            Some(all) => format!("{used} of {}", number::bytes(all as f64)),
            None => used,
        }
    });
    let throttled = state.throttle_reasons.filter(|reasons| !reasons.is_empty());
    let details = [
        (
            "Temperature",
            state.temperature_c.map(|celsius| format!("{celsius} °C")),
        ),
        ("Memory", memory),
        (
            "Utilization",
            state.utilisation_percent.map(|percent| format!("{percent} %")),
        ),
        ("SM clock", state.sm_clock_mhz.map(|mhz| format!("{mhz} MHz"))),
        ("Throttle reasons", throttled.map(|reasons| reasons.join(", "))),
    ];
    DeviceRow {
        name: format!("GPU {}: {name}", gpu.index),
        power: power(gpu.live_power_w) + &limit.unwrap_or_default(),
        details: details
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
        problem: state.lost.or(gpu.problem),
        leased_by,
        line,
    }
}

fn cpu_row(cpu: CpuDevice, leased_by: Option<ExperimentId>, line: Svg) -> DeviceRow {
    DeviceRow {
        name: format!("CPU: {}", cpu.model.as_deref().unwrap_or("unknown model")),
        power: power(cpu.live_power_w),
        details: vec![("Logical CPUs", cpu.logical_cpus.to_string())],
        problem: cpu.rapl_problem,
        leased_by,
        line,
    }
}

fn power(power_w: Option<f64>) -> String {
    power_w.map_or_else(
        || number::UNKNOWN.to_owned(),
        |power_w| format!("{} W", number::plain(power_w)),
    )
}

/// Draws the sum of the power of the given parts, at the times where all are known.
fn line(device: &str, parts: &[&DeviceSeries], window: &Window) -> Svg {
    let mut steps: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for part in parts {
        // The power before the first sample is unknown.
        let Some(first_sec) = part.points.first().map(|point| point.at_monotonic_sec) else {
            continue;
        };
        let resampled = resample(part, window, STEP_SEC);
        let known = resampled
            .points
            .iter()
            .filter(|point| point.at_monotonic_sec >= first_sec);
        for point in known {
            let step = ((point.at_monotonic_sec - window.start_monotonic_sec) / STEP_SEC).round();
            steps.entry(step as i64).or_default().extend(point.power_w);
        }
    }
    let points = steps.into_iter().filter(|(_, powers)| powers.len() == parts.len());
    let points = points.map(|(step, powers)| (step as f64 * STEP_SEC - SHOWN_SEC, powers.iter().sum()));
    sparkline(&Sparkline {
        title: format!("Power of {device} over the last 5 minutes"),
        description: "Mean power over each 2 s, in watts.".to_owned(),
        from_sec: -SHOWN_SEC,
        to_sec: 0.0,
        unit: "W".to_owned(),
        points: points.collect(),
    })
}
