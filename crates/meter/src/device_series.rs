//! Devices over time, for people and plots: power from the timeline, the rest from the telemetry beside it. Pure.
//! Owns which moments become points; deliberately does not average them to a resolution or know whose devices they are.

use super::environment::Surroundings;
use super::series::{Rate, Span};
use super::source::{Place, PollError};
use super::telemetry::{GpuHistory, GpuSample};
use super::timeline::Track;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::PERCENT;
use joulemark_measurement::{DeviceSeries, EnergyDomain, EnergyMethod, SeriesPoint};

/// A zone without a name of its own: the estimate of all CPUs.
const WHOLE_HOST: &str = "host";

/// One GPU; without points when nothing is known of it.
pub fn of_gpu(surroundings: Surroundings<'_>, uuid: &str, span: Span) -> DeviceSeries {
    let is_its = |track: &&Track| matches!(&track.description.id.place, Place::Gpu { uuid: its, .. } if its == uuid);
    let track = surroundings.timeline.tracks().iter().find(is_its);
    let history = surroundings.telemetry.gpu(uuid);
    let index = history.map(|history| history.id.index);
    let index = index.or(track.and_then(|track| match track.description.id.place {
        Place::Gpu { index, .. } => Some(index),
        _ => None,
    }));
    let rates = track.map(|track| rates(surroundings, track, span)).unwrap_or_default();
    let points = match (rates.is_empty(), history) {
        // No power at all: what the board tells of itself is worth showing none the less.
        (true, Some(history)) => told_by(history, span),
        (true, None) => Vec::new(),
        (false, _) => {
            let with_power = |rate: &Rate| {
                let sample = history.and_then(|history| history.holding(rate.at));
                SeriesPoint {
                    power_w: rate.per_sec,
                    ..point(rate.at, sample)
                }
            };
            rates.iter().map(with_power).collect()
        }
    };
    DeviceSeries {
        gpu: index,
        gpu_uuid: Some(uuid.to_owned()),
        zone: None,
        zone_path: None,
        points,
    }
}

fn told_by(history: &GpuHistory, span: Span) -> Vec<SeriesPoint> {
    let samples = history
        .during(span)
        .into_iter()
        .filter(|(sample, _)| sample.at >= span.start);
    samples.map(|(sample, _)| point(sample.at, Some(sample))).collect()
}

fn point(at: Monotonic, sample: Option<&GpuSample>) -> SeriesPoint {
    let nothing_told = SeriesPoint {
        at_monotonic_sec: at.as_sec(),
        ..SeriesPoint::default()
    };
    let Some(GpuSample { brisk, slow, .. }) = sample else {
        return nothing_told;
    };
    SeriesPoint {
        utilisation_percent: brisk.utilisation_percent.map(f64::from),
        temperature_c: slow.temperature_c.map(f64::from),
        sm_clock_mhz: brisk.sm_clock_mhz.map(f64::from),
        memory_clock_mhz: brisk.memory_clock_mhz.map(f64::from),
        memory_used_bytes: slow.memory_used_bytes.map(|bytes| bytes as f64),
        power_limit_w: slow.power_limit_w,
        throttle_reasons: brisk
            .clock_events
            .unwrap_or_default()
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        ..nothing_told
    }
}

/// Source number `source` of the timeline, none where that is a GPU. Utilisation stands at whole packages only: nobody
/// knows how busy a part of one is.
pub fn of_zone(surroundings: Surroundings<'_>, source: usize, span: Span) -> Option<DeviceSeries> {
    let track = surroundings.timeline.tracks().get(source)?;
    if PollError::is_repeat(track.last_error.as_ref()) {
        return None;
    }
    let (zone, zone_path) = match track.description.id.place.clone() {
        Place::Gpu { .. } => return None,
        Place::Zone { name, path } => (name, Some(path)),
        Place::Host => (WHOLE_HOST.to_owned(), None),
    };
    let is_whole = track.description.id.domain == EnergyDomain::Package;
    let busy_percent = |rate: &Rate| {
        let busy_cpus = surroundings.timeline.host_cpu().rate_between(rate.since, rate.at)?;
        Some((PERCENT * busy_cpus / f64::from(surroundings.logical_cpus.max(1))).clamp(0.0, PERCENT))
    };
    let point = |rate: Rate| SeriesPoint {
        at_monotonic_sec: rate.at.as_sec(),
        power_w: rate.per_sec,
        utilisation_percent: if is_whole { busy_percent(&rate) } else { None },
        ..SeriesPoint::default()
    };
    let points = rates(surroundings, track, span).into_iter().map(point).collect();
    Some(DeviceSeries {
        gpu: None,
        gpu_uuid: None,
        zone: Some(zone),
        zone_path,
        points,
    })
}

fn rates(surroundings: Surroundings<'_>, track: &Track, span: Span) -> Vec<Rate> {
    let refresh_sec = match track.description.method {
        EnergyMethod::EnergyCounter => track.counter_refresh_sec(),
        EnergyMethod::PowerIntegration | EnergyMethod::Estimate => 0.0,
    };
    track
        .chosen()
        .rates(span, surroundings.telemetry.interval_sec / 2.0, refresh_sec)
}

#[cfg(test)]
mod tests;
