//! Energy over a window: a pure function of (timeline, window). One reading for each distinct source.
//!
//! Owns uncertainty, confidence and what counts in a total. Deliberately does not know whose window it is.

use super::series::{Growth, Span, Unknown};
use super::source::{Place, SourceDescription};
use super::timeline::{Timeline, Track};
use crate::measurement::{Confidence, EnergyDomain, EnergyMethod, EnergyScope, SourceReading, Window};
use crate::units::MILLISECONDS_PER_SECOND;

/// Counter and polled power further apart than this are told: on some boards they disagree grossly (Zeus issue 181).
const WITNESS_TOLERANCE: f64 = 0.2;

/// Below this length polled power has too few refreshes to be a witness against the counter.
const WITNESS_WINDOW_SEC: f64 = 5.0;

/// Every source's energy over `window`; null with a reason where it is not known, never 0.
pub fn readings(timeline: &Timeline, window: &Window) -> Vec<SourceReading> {
    let mut readings: Vec<SourceReading> = timeline.tracks().iter().map(|track| reading(track, window)).collect();
    let packages: Vec<String> = readings
        .iter()
        .filter(|reading| reading.domain == EnergyDomain::Package)
        .filter_map(|reading| reading.zone.clone())
        .collect();
    let has_package = readings
        .iter()
        .any(|reading| reading.domain == EnergyDomain::Package && reading.method == EnergyMethod::EnergyCounter);
    for reading in &mut readings {
        let containing = contained_in(reading, &packages);
        reading.counted_in_total = reading.energy_j.is_some() && containing.is_none();
        if reading.domain == EnergyDomain::Psys && !has_package {
            add_note(
                reading,
                "no package counter is readable, yet psys is not taken for it: it covers the whole platform",
            );
        }
    }
    readings
}

/// What else contains this reading, so that a total must leave it out.
fn contained_in(reading: &SourceReading, packages: &[String]) -> Option<&'static str> {
    match reading.domain {
        EnergyDomain::Gpu | EnergyDomain::Dram => None,
        EnergyDomain::Core | EnergyDomain::Uncore => Some("package"),
        EnergyDomain::Psys => Some("its parts are counted"),
        EnergyDomain::Package => {
            let zone = reading.zone.as_deref()?;
            let whole = packages.iter().any(|package| {
                zone.strip_prefix(package.as_str())
                    .is_some_and(|rest| rest.starts_with("-die-"))
            });
            whole.then_some("package")
        }
    }
}

fn reading(track: &Track, window: &Window) -> SourceReading {
    let description = &track.description;
    let mut reading = blank(description);
    // The peak is looked for over stretches of two refreshes: shorter ones show the counter's steps, not power.
    let smoothing_sec = (2.0 * description.refresh_sec).max(0.05);
    match track.chosen().growth(Span::from(window), smoothing_sec) {
        Ok(growth) => {
            reading.energy_j = Some(growth.total);
            reading.mean_power_w = Some(growth.total / window.duration_sec());
            reading.sample_count = growth.sample_count;
            reading.interval_ms = growth.interval_sec.map(|sec| sec * MILLISECONDS_PER_SECOND);
            let (uncertainty_j, basis) = uncertainty(description, &growth);
            reading.uncertainty_j = Some(uncertainty_j);
            reading.uncertainty_basis = basis;
            reading.confidence = confidence(description.method, &growth, uncertainty_j);
            if let Some(doubt) = second_witness(track, window, growth.total) {
                add_note(&mut reading, &doubt);
            }
        }
        Err(unknown) => {
            reading.uncertainty_basis = "unknown: there is no energy to be uncertain of".to_owned();
            add_note(&mut reading, &why_unknown(track, &unknown));
        }
    }
    reading
}

fn blank(description: &SourceDescription) -> SourceReading {
    let (gpu, gpu_uuid, zone, zone_path) = match description.id.place.clone() {
        Place::Gpu { index, uuid } => (Some(index), Some(uuid), None, None),
        Place::Zone { name, path } => (None, None, Some(name), Some(path)),
        Place::Host => (None, None, None, None),
    };
    SourceReading {
        domain: description.id.domain,
        gpu,
        gpu_uuid,
        zone,
        zone_path,
        scope: EnergyScope::Host,
        energy_j: None,
        mean_power_w: None,
        source: description.id.kind,
        method: description.method,
        confidence: Confidence::Low,
        sample_count: 0,
        interval_ms: None,
        uncertainty_j: None,
        uncertainty_basis: String::new(),
        counted_in_total: false,
        note: description.note.clone(),
    }
}

/// Half-width of what the sampling leaves open, and its sum in words.
fn uncertainty(description: &SourceDescription, growth: &Growth) -> (f64, String) {
    let peak_w = growth.peak_rate;
    let edges = growth.edge_sec * MILLISECONDS_PER_SECOND;
    match description.method {
        EnergyMethod::Estimate => (
            description.relative_uncertainty * growth.total,
            format!(
                "{:.0} % of the estimate: its assumptions, not the sampling",
                description.relative_uncertainty * 100.0
            ),
        ),
        EnergyMethod::EnergyCounter => (
            (description.refresh_sec + growth.edge_sec) * peak_w,
            format!(
                "({:.0} ms counter refresh + {edges:.1} ms to the samples nearest the edges) × peak {peak_w:.1} W; \
                 the instrument's own accuracy is not in it",
                description.refresh_sec * MILLISECONDS_PER_SECOND
            ),
        ),
        EnergyMethod::PowerIntegration => (
            growth.roughness + (description.refresh_sec + description.averaging_sec / 2.0) * peak_w,
            format!(
                "half of every step between power samples ({:.1} J) + ({:.0} ms sensor refresh + half of {:.0} ms \
                 averaging) × peak {peak_w:.1} W; the instrument's own accuracy is not in it",
                growth.roughness,
                description.refresh_sec * MILLISECONDS_PER_SECOND,
                description.averaging_sec * MILLISECONDS_PER_SECOND
            ),
        ),
    }
}

fn confidence(method: EnergyMethod, growth: &Growth, uncertainty_j: f64) -> Confidence {
    let within = |part: f64| uncertainty_j <= part * growth.total;
    match method {
        EnergyMethod::EnergyCounter if within(0.05) => Confidence::High,
        EnergyMethod::EnergyCounter if within(0.2) => Confidence::Medium,
        EnergyMethod::PowerIntegration if within(0.2) && growth.sample_count >= 10 => Confidence::Medium,
        _ => Confidence::Low,
    }
}

/// A doubt where polled power beside the counter tells another story.
fn second_witness(track: &Track, window: &Window, counter_j: f64) -> Option<String> {
    if track.description.method != EnergyMethod::EnergyCounter || window.duration_sec() < WITNESS_WINDOW_SEC {
        return None;
    }
    let polled_j = track.power.growth(Span::from(window), 0.0).ok()?.total;
    let apart = (polled_j - counter_j).abs() > WITNESS_TOLERANCE * counter_j.max(polled_j);
    apart.then(|| {
        format!("polled power adds up to {polled_j:.1} J, the counter to {counter_j:.1} J: one of them is wrong")
    })
}

fn why_unknown(track: &Track, unknown: &Unknown) -> String {
    match &track.last_error {
        Some(error) => format!("no energy for this window: {unknown}; {error}"),
        None => format!("no energy for this window: {unknown}"),
    }
}

fn add_note(reading: &mut SourceReading, text: &str) {
    match &mut reading.note {
        Some(note) => {
            note.push_str("; ");
            note.push_str(text);
        }
        none => *none = Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
