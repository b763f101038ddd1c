//! Compares an energy with a second measurement of the same energy, and reports a contradiction.
//!
//! Owns the tolerances. Polled power is late or averaged, so it corresponds to the counter's energy some time ago. Any
//! energy that the counter shows for windows shifted by up to that delay is no contradiction.

use super::{add_note, lower};
use crate::estimation::series::{PowerCurveErrors, Span};
use crate::estimation::track::Track;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{Confidence, EnergyDomain, EnergyMethod, SourceReading};

/// Maximum relative difference between counter and polled power that is not reported. On some boards they disagree
/// grossly (Zeus issue 181).
const MAX_DISAGREEMENT: f64 = 0.2;

/// Maximum relative excess of the parts over their whole that is not reported: each RAPL domain is a model of its own.
const MAX_EXCESS: f64 = 0.1;

/// Number of shifted windows that are tried between the earliest and the latest.
const SHIFTS: u32 = 16;

/// Number of 95 % half-widths within which two energies are taken to agree.
const SURE: f64 = 3.0;

/// Number of intervals of one refresh in which the counter's power is examined.
const LOOKS: u32 = 64;
/// The golden ratio, by which these intervals are spread.
const UNEVEN: f64 = 0.618;

/// Maximum number of polls that count: evenly spaced polls can fall into step with a load, so that more of them add
/// nothing.
const MANY_POLLS: u32 = 16;

/// Minimum number of polls for a comparison.
const MIN_POLLED: u32 = 3;

/// Returns the text of a contradiction between polled power and the counter of the same GPU, whose growth over `span`
/// is `counter_j` ± `half_width_j`. `None` when they agree or cannot be compared.
pub fn against_counter(track: &Track, span: Span, counter_j: f64, half_width_j: f64) -> Option<String> {
    if track.description.method != EnergyMethod::EnergyCounter {
        return None;
    }
    let growth = track.power.growth(span, 0.0).ok()?;
    let polled_j = growth.total;
    let unremarked_j = MAX_DISAGREEMENT * counter_j.max(polled_j) + SURE * half_width_j;
    if growth.sample_count < MIN_POLLED || (polled_j - counter_j).abs() <= unremarked_j {
        return None;
    }
    let known_sec = track.description.refresh_sec;
    let spacing_sec = growth.interval_sec.unwrap_or(known_sec);
    let refresh_sec = track.power_refresh_sec().unwrap_or(known_sec).max(spacing_sec);
    let late_sec = track.description.averaging_sec + track.power_refresh_sec().unwrap_or(known_sec) + spacing_sec;
    let (least_j, most_j) = shifted(track, span, late_sec, spacing_sec)?;
    let apart_j = (least_j - polled_j).max(polled_j - most_j);
    let unseen_j = unseen_j(track, span, growth.sample_count.min(MANY_POLLS));
    let missed_j = between_polls_j(track, span, refresh_sec).hypot(unseen_j);
    if apart_j <= unremarked_j + SURE * missed_j {
        return None;
    }
    let percent = 100.0 * (polled_j / counter_j - 1.0);
    Some(format!(
        "the energy counter gives {counter_j:.1} J and polled power {polled_j:.1} J, {percent:+.0} %: one of \
         them is wrong"
    ))
}

/// Returns the minimum and the maximum growth in J of the counter over windows as long as `span` that begin up to
/// `late_sec` before it or up to `ahead_sec` after. Where the counter was not read yet, the power shown at the start
/// bounds the energy before it.
fn shifted(track: &Track, span: Span, late_sec: f64, ahead_sec: f64) -> Option<(f64, f64)> {
    let refresh_sec = track.counter_refresh_sec();
    let grown = |span: Span| track.counter.growth(span, refresh_sec).ok().map(|growth| growth.total);
    let moved = |at: Monotonic, sec: f64| Monotonic::from_sec((at.as_sec() + sec).max(0.0));
    let shown_w = track.power.nearest(span.start).and_then(|sample| sample.power_w)?;
    let (mut least_j, mut most_j) = (f64::INFINITY, f64::NEG_INFINITY);
    for step in 0..=SHIFTS {
        let shift_sec = ahead_sec - (ahead_sec + late_sec) * f64::from(step) / f64::from(SHIFTS);
        let (start, end) = (moved(span.start, shift_sec), moved(span.end, shift_sec));
        if let Some(whole_j) = grown(Span { start, end }) {
            (least_j, most_j) = (least_j.min(whole_j), most_j.max(whole_j));
        } else if shift_sec < 0.0 {
            let start = span.start;
            let known_j = if end > start { grown(Span { start, end })? } else { 0.0 };
            let before_j = shown_w * track.description.averaging_sec.max(-shift_sec);
            (least_j, most_j) = (least_j.min(known_j), most_j.max(known_j + before_j));
        }
    }
    (least_j <= most_j).then_some((least_j, most_j))
}

/// Returns the half-width in J of the error from changes of power between two polls, each at an unknown moment.
fn between_polls_j(track: &Track, span: Span, refresh_sec: f64) -> f64 {
    let curve = track.power.refreshed(span, refresh_sec);
    let errors = PowerCurveErrors::of(&curve, refresh_sec);
    let jumps = errors.jumps(0.0, span.sec());
    let squares: f64 = jumps
        .map(|jump| (jump.watts * jump.sec.max(refresh_sec) / 2.0).powi(2))
        .sum();
    squares.sqrt()
}

/// Returns the standard deviation in J of the energy when power is known at `polls` moments only. The counter shows how
/// much power varies between its refreshes.
fn unseen_j(track: &Track, span: Span, polls: u32) -> f64 {
    let refresh_sec = track.counter_refresh_sec();
    let rest_sec = span.sec() - refresh_sec;
    if rest_sec <= 0.0 {
        return 0.0;
    }
    let rate_w = |look: u32| {
        let start_sec = span.start.as_sec() + rest_sec * (f64::from(look) * UNEVEN).fract();
        let stretch = Span {
            start: Monotonic::from_sec(start_sec),
            end: Monotonic::from_sec(start_sec + refresh_sec),
        };
        let grown = track.counter.growth(stretch, refresh_sec).ok()?;
        Some(grown.total / refresh_sec)
    };
    let rates_w: Vec<f64> = (0..LOOKS).filter_map(rate_w).collect();
    let count = rates_w.len().max(1) as f64;
    let mean_w = rates_w.iter().sum::<f64>() / count;
    let variance = rates_w.iter().map(|rate_w| (rate_w - mean_w).powi(2)).sum::<f64>() / count;
    span.sec() * (variance / f64::from(polls.max(1))).sqrt()
}

/// Compares each package with its cores and graphics, and the platform with its packages: parts are less than their
/// whole. A contradiction lowers the confidence of all of them and is added to their notes.
pub fn parts_against_wholes(readings: &mut [SourceReading]) {
    for whole in 0..readings.len() {
        let (parts, named): (Vec<usize>, &str) = match readings[whole].domain {
            EnergyDomain::Package => (of_package(readings, whole), "its cores and graphics"),
            EnergyDomain::Psys => (packages(readings), "the packages"),
            _ => continue,
        };
        let known = |index: &usize| readings[*index].energy_j.zip(readings[*index].uncertainty_j);
        let Some((whole_j, half_j)) = known(&whole) else {
            continue;
        };
        let (parts_j, halves_j) = parts
            .iter()
            .filter_map(known)
            .fold((0.0, half_j), |(sum_j, halves_j), (part_j, half_j)| {
                (sum_j + part_j, halves_j + half_j)
            });
        if parts_j <= whole_j * (1.0 + MAX_EXCESS) + SURE * halves_j {
            continue;
        }
        let name = readings[whole].zone.clone().unwrap_or_default();
        let percent = 100.0 * (parts_j / whole_j - 1.0);
        let text = format!(
            "{named} add up to {parts_j:.1} J, {name}, which contains them, to {whole_j:.1} J, {percent:+.0} %: one of them is wrong"
        );
        for index in parts.into_iter().chain([whole]) {
            let reading = &mut readings[index];
            if reading.energy_j.is_some() {
                lower(reading, Confidence::Low);
                add_note(reading, &text);
            }
        }
    }
}

/// Returns the indices of the package counters that count in a total.
fn packages(readings: &[SourceReading]) -> Vec<usize> {
    let is_counted = |reading: &SourceReading| {
        reading.domain == EnergyDomain::Package
            && reading.method == EnergyMethod::EnergyCounter
            && reading.counted_in_total
    };
    (0..readings.len())
        .filter(|index| is_counted(&readings[*index]))
        .collect()
}

/// Returns the indices of the core and uncore zones in a package: below its folder, or counted by the same CPU.
fn of_package(readings: &[SourceReading], package: usize) -> Vec<usize> {
    let Some(whole) = readings[package].zone_path.as_deref() else {
        return Vec::new();
    };
    let counting_cpu = |path: &'_ str| path.rsplit_once("/cpu").map(|(_, cpu)| cpu.to_owned());
    let is_inside = |part: &str| match counting_cpu(whole) {
        Some(cpu) => counting_cpu(part) == Some(cpu),
        None => part.rsplit_once(':').is_some_and(|(parent, _)| parent == whole),
    };
    let is_part = |reading: &SourceReading| {
        matches!(reading.domain, EnergyDomain::Core | EnergyDomain::Uncore)
            && reading.zone_path.as_deref().is_some_and(is_inside)
    };
    (0..readings.len()).filter(|index| is_part(&readings[*index])).collect()
}
