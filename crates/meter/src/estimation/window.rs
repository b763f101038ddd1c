//! Computes the energy of each source over a window: a pure function of a timeline and a window.
//!
//! Owns the uncertainty, the confidence, the cross-checks that lower it, and what counts in a total. Leaves to others
//! whose window it is.

mod averaged;
mod cross_checks;
mod polled;
mod standstill;
mod uncertainty;

use uncertainty::{Uncertainty, combined};

use super::series::{Growth, Span, Unknown};
use super::timeline::Timeline;
use super::track::Track;
use crate::source::{Place, SourceDescription};
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::units::MILLISECONDS_PER_SECOND;
use joulemark_measurement::{
    Confidence, EnergyDomain, EnergyMethod, EnergyScope, EnergySourceKind, SourceReading, Window,
};

/// Mean power of a zone over a window, as a multiple of its declared limit, above which its energy is not trusted.
const DOUBTED_LIMITS: f64 = 2.0;

/// Returns every source's energy over `window`, in the order of the timeline's sources. An unknown energy is `None`,
/// with the reason in `note`, never 0.
///
/// # Examples
///
/// ```
/// use joulemark_meter::{
///     Confidence, EnergyDomain, EnergyMethod, EnergySourceKind, Monotonic, Place, SourceDescription, SourceId, Timeline,
///     Value, Window, readings,
/// };
///
/// let board = SourceDescription {
///     id: SourceId {
///         kind: EnergySourceKind::Nvml,
///         domain: EnergyDomain::Gpu,
///         place: Place::Gpu { index: 0, uuid: "GPU-a".to_owned() },
///     },
///     method: EnergyMethod::EnergyCounter,
///     refresh_sec: 0.1,
///     averaging_sec: 0.0,
///     relative_uncertainty: 0.0,
///     wraps: None,
///     note: None,
/// };
/// let mut timeline = Timeline::new(vec![board], 0.1);
/// for tenth in 0..=200 {
///     let at = Monotonic::from_sec(f64::from(tenth) / 10.0);
///     let value = Value { at, counter_j: Some(300.0 * at.as_sec()), power_w: None };
///     timeline.record(0, Ok(value), false);
/// }
///
/// let inside = &readings(&timeline, &Window { start_monotonic_sec: 2.0, end_monotonic_sec: 18.0 })[0];
/// assert!((inside.energy_j.unwrap() - 4800.0).abs() <= inside.uncertainty_j.unwrap());
/// assert_eq!(inside.confidence, Confidence::High);
///
/// let beyond = &readings(&timeline, &Window { start_monotonic_sec: 2.0, end_monotonic_sec: 60.0 })[0];
/// assert_eq!(beyond.energy_j, None);
/// assert!(beyond.note.as_ref().unwrap().contains("before the window ended"));
/// ```
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
                "no package counter can be read; psys is not used instead, because it covers the whole platform",
            );
        }
    }
    cross_checks::parts_against_wholes(&mut readings);
    readings
}

/// Returns the name of what contains this reading, in which case a total must leave it out; `None` otherwise.
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

/// Returns one source's reading over `window`.
fn reading(track: &Track, window: &Window) -> SourceReading {
    let description = &track.description;
    let mut reading = blank(description);
    reading.refresh_ms = track.detected_refresh_sec().map(|sec| sec * MILLISECONDS_PER_SECOND);
    match measure(track, window) {
        Ok(measured) => {
            let growth = &measured.growth;
            reading.energy_j = Some(growth.total);
            reading.mean_power_w = Some(growth.total / window.duration_sec());
            reading.sample_count = growth.sample_count;
            reading.interval_ms = growth.interval_sec.map(|sec| sec * MILLISECONDS_PER_SECOND);
            reading.uncertainty_j = Some(measured.uncertainty.half_width_j);
            reading.uncertainty_basis = measured.uncertainty.basis.clone();
            reading.confidence = confidence(description.method, growth, measured.uncertainty.half_width_j);
            if let Some(refreshes) = too_few_refreshes(track, window) {
                reading.confidence = one_less(reading.confidence);
                add_note(&mut reading, &refreshes);
            }
            cross_check(
                &mut reading,
                track,
                Span::from(window),
                growth.total,
                measured.uncertainty.half_width_j,
            );
        }
        Err(unknown) => {
            reading.uncertainty_basis = "unknown, like the energy".to_owned();
            add_note(&mut reading, &why_unknown(track, &unknown));
        }
    }
    let is_explained = reading.energy_j.is_none() && track.last_error.is_some();
    if let Some(left_out) = left_out_note(track, Span::from(window)).filter(|_| !is_explained) {
        add_note(&mut reading, &left_out);
    }
    reading
}

/// Lowers the confidence of an energy that contradicts a second measurement or the device's declared limit.
fn cross_check(reading: &mut SourceReading, track: &Track, span: Span, energy_j: f64, half_width_j: f64) {
    if let Some(contradiction) = cross_checks::against_counter(track, span, energy_j, half_width_j) {
        lower(reading, Confidence::Low);
        add_note(reading, &contradiction);
    }
    let mean_w = energy_j / span.sec();
    let beyond = |limit_w: &f64| mean_w > DOUBTED_LIMITS * limit_w;
    if let Some(limit_w) = track.plausible.limit_w().filter(beyond) {
        lower(reading, Confidence::Low);
        add_note(
            reading,
            &format!("{mean_w:.0} W on average, while its own limit is {limit_w:.0} W"),
        );
    }
}

/// Returns the span around a window in which a power reading can affect its energy.
fn around(track: &Track, span: Span) -> Span {
    let beside_sec = track.description.averaging_sec / 2.0 + track.description.refresh_sec;
    Span {
        start: Monotonic::from_sec((span.start.as_sec() - beside_sec).max(0.0)),
        end: Monotonic::from_sec(span.end.as_sec() + beside_sec),
    }
}

/// Returns a note on power readings that were left out; `None` when there were none.
fn left_out_note(track: &Track, span: Span) -> Option<String> {
    let left_out: Vec<f64> = track
        .plausible
        .left_out(around(track, span))
        .map(|left_out| left_out.power_w)
        .collect();
    let highest_w = left_out.iter().copied().reduce(f64::max)?;
    let bound = match track.plausible.limit_w() {
        _ if highest_w <= 0.0 => "which a running board never draws".to_owned(),
        Some(limit_w) => format!("while its own limit is {limit_w:.0} W"),
        None => "more than any such device draws".to_owned(),
    };
    Some(format!(
        "{} power readings left out: {highest_w:.0} W cannot be a measurement, {bound}",
        left_out.len()
    ))
}

/// A growth and its uncertainty.
struct Measured {
    growth: Growth,
    uncertainty: Uncertainty,
}

/// Measures one source's energy over `window`.
fn measure(track: &Track, window: &Window) -> Result<Measured, Unknown> {
    let span = Span::from(window);
    match track.description.method {
        EnergyMethod::PowerIntegration => {
            let (growth, mut uncertainty) = polled::measure(track, span)?;
            let left_out = track.plausible.left_out(around(track, span));
            let gaps_sec: f64 = left_out.map(|left_out| left_out.gap_sec).sum();
            if gaps_sec > 0.0 {
                // Between nothing and twice the mean energy may have been used there.
                let gaps_j = growth.total / span.sec() * gaps_sec.min(span.sec());
                uncertainty.half_width_j = combined([uncertainty.half_width_j, gaps_j].into_iter());
                let basis = format!("; readings left out ±{gaps_j:.3} J");
                uncertainty.basis.push_str(&basis);
            }
            Ok(Measured { growth, uncertainty })
        }
        EnergyMethod::EnergyCounter => {
            let growth = track.counter.growth(span, track.counter_refresh_sec())?;
            if let Some(why) = standstill::why(track, span, &growth) {
                return Err(Unknown::Broken(why));
            }
            Ok(Measured {
                uncertainty: Uncertainty::of_counter(track, &growth),
                growth,
            })
        }
        EnergyMethod::Estimate => {
            let growth = track.counter.growth(span, 0.0)?;
            Ok(Measured {
                uncertainty: Uncertainty::of_estimate(&track.description, &growth),
                growth,
            })
        }
    }
}

/// Minimum number of refreshes in a window. In a shorter one the uncertainty at the edges dominates.
const MIN_REFRESHES: f64 = 5.0;

/// Returns a note when the window spans too few refreshes of the sensor.
fn too_few_refreshes(track: &Track, window: &Window) -> Option<String> {
    let refresh_sec = match track.description.method {
        EnergyMethod::EnergyCounter => track.counter_refresh_sec(),
        EnergyMethod::PowerIntegration => track
            .power_refresh_sec()
            .unwrap_or(0.0)
            .max(track.description.averaging_sec),
        EnergyMethod::Estimate => return None,
    };
    let refreshes = window.duration_sec() / refresh_sec;
    (refreshes < MIN_REFRESHES).then(|| {
        format!(
            "the window is short for this sensor: it spans {refreshes:.1} refreshes of {:.0} ms",
            refresh_sec * MILLISECONDS_PER_SECOND
        )
    })
}

/// Returns the confidence one step lower.
fn one_less(confidence: Confidence) -> Confidence {
    match confidence {
        Confidence::High => Confidence::Medium,
        Confidence::Medium | Confidence::Low => Confidence::Low,
    }
}

/// Lowers the confidence of a reading to at most `to`.
fn lower(reading: &mut SourceReading, to: Confidence) {
    reading.confidence = reading.confidence.min(to);
}

/// Creates a reading of a source without an energy.
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
        instrument_accuracy_percent: instrument_accuracy_percent(description.id.kind),
        refresh_ms: None,
        counted_in_total: false,
        note: description.note.clone(),
    }
}

/// Maximum relative half-width of an energy with high confidence.
const HIGH_WITHIN: f64 = 0.05;
/// Maximum relative half-width of an energy with medium confidence.
const MEDIUM_WITHIN: f64 = 0.2;

/// Minimum number of samples for which polled power is trusted.
const MIN_POLLS: u32 = 10;

/// Returns the confidence that follows from the method and the uncertainty.
fn confidence(method: EnergyMethod, growth: &Growth, uncertainty_j: f64) -> Confidence {
    let within = |part: f64| uncertainty_j <= part * growth.total;
    match method {
        EnergyMethod::EnergyCounter if within(HIGH_WITHIN) => Confidence::High,
        EnergyMethod::EnergyCounter if within(MEDIUM_WITHIN) => Confidence::Medium,
        EnergyMethod::PowerIntegration if within(MEDIUM_WITHIN) && growth.sample_count >= MIN_POLLS => {
            Confidence::Medium
        }
        _ => Confidence::Low,
    }
}

/// Accuracy in percent that NVIDIA states for its power readings (NVML API reference, `nvmlDeviceGetPowerUsage`).
const NVML_ACCURACY_PERCENT: f64 = 5.0;

/// Returns the accuracy that the maker states; `None` for RAPL, for which Intel and AMD state none.
fn instrument_accuracy_percent(kind: EnergySourceKind) -> Option<f64> {
    (kind == EnergySourceKind::Nvml).then_some(NVML_ACCURACY_PERCENT)
}

/// Returns the note of an unknown energy.
fn why_unknown(track: &Track, unknown: &Unknown) -> String {
    match &track.last_error {
        Some(error) => format!("no energy for this window: {unknown}; {error}"),
        None => format!("no energy for this window: {unknown}"),
    }
}

/// Appends a text to a reading's note.
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
