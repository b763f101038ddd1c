//! Warns of what disturbed one GPU: other processes, lowered clocks, temperature, settings and limits.

use super::observation::{Observation, worst};
use super::watched::WatchedGpu;
use crate::estimation::series::Span;
use crate::telemetry::{ClockEvents, GpuHistory, GpuSample};
use joulemark_measurement::{Warning, WarningCode, Window};

/// Minimum throttled share of a window that is reported. A smaller share changes the energy by less than the
/// uncertainty at the window's edges.
const MIN_THROTTLED_SHARE: f64 = 0.01;

/// Maximum change of temperature in °C within a window. A GPU that warms by more draws more for the same work
/// (methodology.md).
const MAX_DRIFT_C: u32 = 10;

/// A sample, and the seconds of the window for which it holds.
type Held<'a> = (&'a GpuSample, f64);

/// The severity of an observation, and its text.
type Seen = (f64, String);

/// Returns the warnings on one GPU over the windows, at most one of each kind.
pub fn check(gpu: &GpuHistory, ours: &WatchedGpu, pids_are_ours: bool, cycles: &[(u32, Window)]) -> Vec<Warning> {
    let subject = format!("GPU {} ({})", gpu.id.index, gpu.id.uuid);
    let seen = |observe: &dyn Fn(&[Held<'_>]) -> Option<Seen>| -> Vec<Observation> {
        let each = cycles.iter().filter_map(|(cycle, window)| {
            let (weight, words) = observe(&gpu.during(Span::from(window)))?;
            Some(Observation {
                cycle: *cycle,
                weight,
                words,
            })
        });
        each.collect()
    };
    let foreign = seen(&|samples| foreign_processes(samples, &ours.pids, pids_are_ours));
    let checks = [
        worst(WarningCode::ForeignGpuProcess, &subject, &foreign),
        worst(WarningCode::Throttled, &subject, &seen(&throttled)),
        worst(WarningCode::TemperatureDrift, &subject, &seen(&drift)),
        worst(WarningCode::PersistenceModeOff, &subject, &seen(&without_persistence)),
        limited(gpu, &subject, cycles),
    ];
    checks.into_iter().flatten().collect()
}

/// Returns the compute processes on the GPU that are not the caller's. Where process ids cannot be compared, as many
/// unknown ones as the caller has processes count as the caller's.
fn foreign_processes(samples: &[Held<'_>], ours: &[u32], pids_are_ours: bool) -> Option<Seen> {
    let foreign_in = |sample: &GpuSample| -> (usize, Vec<u32>) {
        let listed = sample.slow.compute_pids.iter().flat_map(|pids| pids.iter().copied());
        let unknown: Vec<u32> = listed.clone().filter(|pid| !ours.contains(pid)).collect();
        let known = listed.count() - unknown.len();
        let under_other_numbers = if pids_are_ours {
            0
        } else {
            ours.len() - known.min(ours.len())
        };
        (unknown.len().saturating_sub(under_other_numbers), unknown)
    };
    let most = samples
        .iter()
        .map(|(sample, _)| foreign_in(sample))
        .max_by_key(|(count, _)| *count)?;
    let (count @ 1.., unknown) = most else { return None };
    let numbers = unknown.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let whose = if pids_are_ours || ours.is_empty() {
        "pid"
    } else {
        "pids on the host, ours among them,"
    };
    let noun = if count == 1 { "process" } else { "processes" };
    Some((
        count as f64,
        format!("{count} compute {noun} of others ({whose} {numbers}) on this board"),
    ))
}

/// Returns the share of the window in which clocks were lowered, with the reasons.
fn throttled(samples: &[Held<'_>]) -> Option<Seen> {
    let reported = samples
        .iter()
        .filter_map(|(sample, sec)| Some((sample.fast.clock_events?, *sec)));
    let (mut reported_sec, mut slowed_sec, mut reasons) = (0.0, 0.0, ClockEvents::default());
    for (events, sec) in reported {
        reported_sec += sec;
        let slowing = events.slowing_down();
        if !slowing.is_empty() {
            slowed_sec += sec;
            reasons = reasons.union(slowing);
        }
    }
    let share = slowed_sec / reported_sec;
    // A window without samples gives NaN, for which this comparison is false.
    (share >= MIN_THROTTLED_SHARE).then(|| {
        let names = reasons.names().join(", ");
        (
            share,
            format!("clocks were lowered ({names}) for {:.0} % of the window", 100.0 * share),
        )
    })
}

/// Returns the range of temperatures when it exceeds the maximum.
fn drift(samples: &[Held<'_>]) -> Option<Seen> {
    let reported = samples.iter().filter_map(|(sample, _)| sample.slow.temperature_c);
    let (lowest, highest) = (reported.clone().min()?, reported.max()?);
    let by = highest - lowest;
    (by > MAX_DRIFT_C).then(|| {
        (
            f64::from(by),
            format!("its temperature ranged from {lowest} to {highest} °C"),
        )
    })
}

/// Returns an observation when persistence mode was off in any sample.
fn without_persistence(samples: &[Held<'_>]) -> Option<Seen> {
    let off = samples
        .iter()
        .any(|(sample, _)| sample.slow.persistence_mode == Some(false));
    off.then(|| {
        (
            1.0,
            "persistence mode was off (`sudo nvidia-smi -pm 1` turns it on)".to_owned(),
        )
    })
}

/// Returns one warning that lists everything that limits the readings of the GPU; `None` when nothing does.
fn limited(gpu: &GpuHistory, subject: &str, cycles: &[(u32, Window)]) -> Option<Warning> {
    let mut limits = Vec::new();
    let hull = Span {
        start: cycles.iter().map(|(_, window)| Span::from(window).start).min()?,
        end: cycles.iter().map(|(_, window)| Span::from(window).end).max()?,
    };
    if let Some(absence) = gpu.first_absence(hull) {
        let during = cycles.iter().find(|(_, window)| absence.from <= Span::from(window).end);
        let when = during
            .map(|(cycle, _)| format!(" by cycle {cycle}"))
            .unwrap_or_default();
        let back = absence.until.map(|until| {
            let away_sec = until.sec_since(absence.from);
            format!(", for {away_sec:.1} s")
        });
        limits.push(format!(
            "it was lost{when}{} ({})",
            back.unwrap_or_default(),
            absence.why
        ));
    }
    let is_sliced = |(_, window): &(u32, Window)| {
        let samples = gpu.during(Span::from(window));
        samples.iter().any(|(sample, _)| sample.slow.mig_enabled == Some(true))
    };
    if cycles.iter().any(is_sliced) {
        limits.push("MIG is enabled: readings are of the whole board, other slices included".to_owned());
    }
    if !gpu.trouble.refused.is_empty() {
        limits.push(format!("this user may not read its {}", gpu.trouble.refused.join(", ")));
    }
    let message = format!("{subject}: {}", limits.join("; "));
    (!limits.is_empty()).then_some(Warning {
        code: WarningCode::GpuLimited,
        message,
    })
}
