//! Computes the energy of some GPUs and processes, or of the whole host, from a timeline.
//!
//! Selects the GPUs, splits what processes share on the host, and sums. Pure. Each share is computed from CPU time, so
//! that the shares of all processes together never exceed the host's energy.

use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use super::estimation::window::readings;
use super::source::{Devices, Place};
use super::split::Split;
use joulemark_measurement::{
    Confidence, EnergyDomain, EnergyMethod, EnergyMetrics, EnergyScope, EnergySourceKind, SourceReading, Window,
};

/// Returns the energy over `window` of the given GPUs, and the given processes' share of the energy of the host's CPU
/// packages and memory.
///
/// Pure: reads only the timeline. `devices` gives the reason why a GPU is not read. An unknown figure is `None`, never
/// 0. The `note` of a [`SourceReading`] states why its energy is `None`. For a sum, look at the readings of its
/// sources. The share of the processes (`cpu_time_share`, `cpu_energy_j`, `dram_energy_j`) is `None` if a process was
/// not tracked from before the window, if `pids` is empty, or if the host's CPU time is unknown.
///
/// # Examples
///
/// A package draws 100 W on a host whose CPUs are busy for 4 CPU seconds. Process 7 uses 1 of them:
///
/// ```
/// use joulemark_meter::{
///     CpuDevice, Devices, EnergyDomain, EnergyMethod, EnergySourceKind, Monotonic, Place, SourceDescription, SourceId,
///     Timeline, Value, Window, account,
/// };
///
/// let package = SourceDescription {
///     id: SourceId {
///         kind: EnergySourceKind::RaplPowercap,
///         domain: EnergyDomain::Package,
///         place: Place::Zone { name: "package-0".to_owned(), path: "intel-rapl:0".to_owned() },
///     },
///     method: EnergyMethod::EnergyCounter,
///     refresh_sec: 0.0,
///     averaging_sec: 0.0,
///     relative_uncertainty: 0.0,
///     wraps: None,
///     note: None,
/// };
/// let mut timeline = Timeline::new(vec![package], 1.0);
/// timeline.track(7, Monotonic::from_sec(10.0), 0.0);
/// for second in 0..=2 {
///     let at = Monotonic::from_sec(10.0 + f64::from(second));
///     let value = Value { at, counter_j: Some(100.0 * f64::from(second)), power_w: None };
///     timeline.record(0, Ok(value), true);
///     timeline.record_host_cpu(at, 2.0 * f64::from(second), true);
///     timeline.record_process_cpu(7, at, 0.5 * f64::from(second), true);
/// }
/// let devices = Devices {
///     gpus: Vec::new(),
///     cpu: CpuDevice {
///         model: None,
///         logical_cpus: 4,
///         energy_source: Some(EnergySourceKind::RaplPowercap),
///         rapl_problem: None,
///         cpu_time_source: None,
///         live_power_w: None,
///     },
///     findings: Vec::new(),
/// };
///
/// let window = Window { start_monotonic_sec: 10.0, end_monotonic_sec: 12.0 };
/// let energy = account(&timeline, &devices, &window, &[], &[7]);
/// assert_eq!(energy.host_cpu_energy_j, Some(200.0));
/// assert_eq!(energy.cpu_energy_j, Some(50.0));
/// assert_eq!(energy.gpu_energy_j, None);
/// ```
pub fn account(
    timeline: &Timeline,
    devices: &Devices,
    window: &Window,
    gpu_uuids: &[String],
    pids: &[u32],
) -> EnergyMetrics {
    let split = Split::compute(timeline, Span::from(window), pids);
    let mut metrics = whole(timeline, window, |uuid| gpu_uuids.iter().any(|wanted| wanted == uuid));
    for wanted in gpu_uuids {
        if !metrics
            .sources
            .iter()
            .any(|reading| reading.gpu_uuid.as_ref() == Some(wanted))
        {
            metrics.sources.push(unread_gpu(wanted, devices));
            metrics.gpu_energy_j = None;
        }
    }
    let part = |host_j: Option<f64>, share| host_j.zip(share).map(|(host_j, share): (f64, f64)| host_j * share);
    metrics.cpu_time_share = split.time_share;
    metrics.cpu_energy_j = part(metrics.host_cpu_energy_j, split.of_packages);
    metrics.dram_energy_j = part(metrics.host_dram_energy_j, split.of_dram);
    add_up(metrics, window, !gpu_uuids.is_empty())
}

/// Returns the energy over `window` of the whole host, with all GPUs that are read, whichever process caused it.
///
/// Pure, like [`account`]. [`HostMeter::read_host`](crate::HostMeter::read_host) calls it once the window is sampled.
pub fn account_host(timeline: &Timeline, window: &Window) -> EnergyMetrics {
    let mut metrics = whole(timeline, window, |_| true);
    metrics.cpu_energy_j = metrics.host_cpu_energy_j;
    metrics.dram_energy_j = metrics.host_dram_energy_j;
    let has_gpus = metrics
        .sources
        .iter()
        .any(|reading| reading.domain == EnergyDomain::Gpu);
    add_up(metrics, window, has_gpus)
}

/// Returns the energy of the whole host, and lists its GPUs that no source reads with `None` and the reason. Where
/// there is such a GPU, `gpu_energy_j` and `total_energy_j` are `None`.
pub(crate) fn account_host_and_its_gpus(timeline: &Timeline, devices: &Devices, window: &Window) -> EnergyMetrics {
    let mut metrics = account_host(timeline, window);
    let is_read = |uuid: &str| {
        let readings = timeline.tracks().iter().map(|track| &track.description.id.place);
        readings
            .into_iter()
            .any(|place| matches!(place, Place::Gpu { uuid: its, .. } if its == uuid))
    };
    let unread: Vec<&str> = devices
        .gpus
        .iter()
        .map(|gpu| gpu.uuid.as_str())
        .filter(|uuid| !is_read(uuid))
        .collect();
    if unread.is_empty() {
        return metrics;
    }
    metrics
        .sources
        .extend(unread.into_iter().map(|uuid| unread_gpu(uuid, devices)));
    metrics.gpu_energy_j = None;
    add_up(metrics, window, true)
}

/// Returns the sums over distinct sources before anything is attributed to processes, with the GPUs that `is_ours`
/// selects.
fn whole(timeline: &Timeline, window: &Window, is_ours: impl Fn(&str) -> bool) -> EnergyMetrics {
    let tracks = timeline.tracks().iter();
    let mut sources: Vec<SourceReading> = readings(timeline, window)
        .into_iter()
        .zip(tracks)
        .filter_map(|(reading, track)| (!track.is_repeat()).then_some(reading))
        .collect();
    sources.retain(|reading| reading.gpu_uuid.as_deref().is_none_or(&is_ours));
    let duration_sec = window.duration_sec();
    let host_cpu_energy_j = sum(&sources, EnergyDomain::Package);
    let followed = Split::compute(timeline, Span::from(window), &[]).followed;
    EnergyMetrics {
        gpu_energy_j: sum(&sources, EnergyDomain::Gpu),
        host_cpu_energy_j,
        host_other_energy_j: host_cpu_energy_j
            .zip(followed)
            .map(|(host, followed)| host * (1.0 - followed)),
        host_dram_energy_j: sum(&sources, EnergyDomain::Dram),
        duration_sec: (duration_sec > 0.0).then_some(duration_sec),
        sources,
        ..EnergyMetrics::default()
    }
}

/// Sums a domain's sources that lie inside no other. Returns `None` when there is none, or when one of them is unknown.
fn sum(sources: &[SourceReading], domain: EnergyDomain) -> Option<f64> {
    let mut parts = sources
        .iter()
        .filter(|reading| reading.domain == domain && !is_inside_another(reading))
        .peekable();
    parts.peek()?;
    parts.map(|reading| reading.energy_j).sum()
}

/// Returns whether a reading is part of another one: its energy is known, and the total leaves it out.
fn is_inside_another(reading: &SourceReading) -> bool {
    reading.energy_j.is_some() && !reading.counted_in_total
}

/// Fills in the total, the mean powers and the uncertainties from the sums.
fn add_up(mut metrics: EnergyMetrics, window: &Window, has_gpus: bool) -> EnergyMetrics {
    metrics.total_energy_j = metrics.sum_of_parts_j(has_gpus);
    let duration_sec = window.duration_sec();
    metrics.gpu_power_w = metrics.gpu_energy_j.map(|energy| energy / duration_sec);
    metrics.cpu_power_w = metrics.cpu_energy_j.map(|energy| energy / duration_sec);
    metrics.set_uncertainties();
    metrics
}

/// Returns the reading of a GPU that no source reads: no energy, and a note with the reason.
fn unread_gpu(uuid: &str, devices: &Devices) -> SourceReading {
    let mut note = "no source of this host reads this GPU".to_owned();
    let device = devices.gpus.iter().find(|gpu| gpu.uuid == uuid);
    if let Some(problem) = device.and_then(|gpu| gpu.problem.as_ref()) {
        note.push_str(": ");
        note.push_str(problem);
    }
    SourceReading {
        domain: EnergyDomain::Gpu,
        gpu: device.map(|gpu| gpu.index),
        gpu_uuid: Some(uuid.to_owned()),
        zone: None,
        zone_path: None,
        scope: EnergyScope::Host,
        energy_j: None,
        mean_power_w: None,
        source: EnergySourceKind::Nvml,
        method: EnergyMethod::EnergyCounter,
        confidence: Confidence::Low,
        sample_count: 0,
        interval_ms: None,
        uncertainty_j: None,
        uncertainty_basis: "unknown, like the energy".to_owned(),
        instrument_accuracy_percent: None,
        refresh_ms: None,
        counted_in_total: false,
        note: Some(note),
    }
}

#[cfg(test)]
mod tests;
