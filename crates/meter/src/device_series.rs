//! Device series for plots: power from the timeline, other readings from the telemetry log. Pure.
//!
//! Owns the times of the points. Leaves averaging to a resolution, and whose devices they are, to the caller.

use super::environment::Surroundings;
use super::estimation::series::{Rate, Span};
use super::estimation::track::Track;
use super::source::Place;
use super::telemetry::{GpuHistory, GpuSample};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::PERCENT;
use joulemark_measurement::{DeviceSeries, EnergyDomain, EnergyMethod, SeriesPoint};

/// Zone name of the estimate, which covers all CPU packages.
const WHOLE_HOST: &str = "host";

/// Returns the series of one GPU over `span`. It has no points when no source reads the GPU and there is no telemetry.
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
        // Power is unknown. The other readings of the GPU are still shown.
        (true, Some(history)) => without_power(history, span),
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

/// Returns the telemetry samples within `span` as points without power.
fn without_power(history: &GpuHistory, span: Span) -> Vec<SeriesPoint> {
    let samples = history
        .during(span)
        .into_iter()
        .filter(|(sample, _)| sample.at >= span.start);
    samples.map(|(sample, _)| point(sample.at, Some(sample))).collect()
}

/// Returns the point at `at` with the readings of `sample` and without power.
fn point(at: Monotonic, sample: Option<&GpuSample>) -> SeriesPoint {
    let empty = SeriesPoint {
        at_monotonic_sec: at.as_sec(),
        ..SeriesPoint::default()
    };
    let Some(GpuSample { fast, slow, .. }) = sample else {
        return empty;
    };
    SeriesPoint {
        utilisation_percent: fast.utilisation_percent.map(f64::from),
        temperature_c: slow.temperature_c.map(f64::from),
        sm_clock_mhz: fast.sm_clock_mhz.map(f64::from),
        memory_clock_mhz: fast.memory_clock_mhz.map(f64::from),
        memory_used_bytes: slow.memory_used_bytes.map(|bytes| bytes as f64),
        power_limit_w: slow.power_limit_w,
        throttle_reasons: fast
            .clock_events
            .unwrap_or_default()
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        ..empty
    }
}

/// Returns the series of source number `source` of the timeline; `None` for a GPU and for a source that repeats
/// another. Only whole packages have a utilisation: how busy a part of a package is, is unknown.
pub fn of_zone(surroundings: Surroundings<'_>, source: usize, span: Span) -> Option<DeviceSeries> {
    let track = surroundings.timeline.tracks().get(source)?;
    if track.is_repeat() {
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

/// Returns a track's power over `span`, at most one value for each half of the sweep interval.
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
