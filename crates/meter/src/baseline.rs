//! The bare idle baseline: what every source draws while the host is at rest, read from the timeline after the fact.
//!
//! Owns what counts as rest and how long a baseline stands. Pure: nobody waits for it and nothing is measured for its
//! sake. Deliberately does not know experiments: the caller says since when none has run.

pub mod kept;

use super::environment::Surroundings;
use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use super::estimation::window::readings;
use super::telemetry::TelemetryLog;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{IdlePower, Window};

/// Stretches tried, longest first: over 20 s a counter that refreshes every 100 ms is known to 0.5 %, over 5 s to 2 %.
const STRETCHES_SEC: [f64; 3] = [20.0, 10.0, 5.0];
const SHORTEST_SEC: f64 = 5.0;

/// Busy share of all CPUs up to which a host counts as idle: its own housekeeping and this meter (at most 2 % of one
/// CPU at 100 Hz) are below, one busy thread on 16 CPUs is above.
const BUSY_SHARE_AT_REST: f64 = 0.05;

/// A board that cools by more than this within a stretch still gives off what was drawn before it.
const COOLING_AT_REST_C: u32 = 2;

/// The reason why no idle baseline can be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unrest {
    /// The host has been without work for this many seconds only.
    #[error("needs {SHORTEST_SEC} s of rest before the run, had {:.0}", .0.floor().max(0.0))]
    TooShort(f64),
    /// This share of the host's CPUs was busy, 0 to 1.
    #[error("the host's CPUs were {:.0} % busy, and at rest are at most {:.0} %", .0 * 100.0, BUSY_SHARE_AT_REST * 100.0)]
    CpuBusy(f64),
    /// The host's CPU time is not known.
    #[error("the host's CPU time is not known, so nobody can say that it was at rest")]
    CpuUnknown,
    /// The GPU of this NVML index was in use.
    #[error("GPU {0} was in use by somebody")]
    GpuBusy(u32),
    /// The GPU of this NVML index was cooling down.
    #[error("GPU {0} was still cooling")]
    GpuCooling(u32),
    /// No source was read without a gap.
    #[error("no source was read without a gap")]
    NoReading,
}

/// Idle power of every source that counts in a total, over the newest and longest stretch of rest since `quiet_since`.
///
/// # Errors
/// [`Unrest`] says what kept the shortest stretch from being one of rest.
pub fn idle_powers(surroundings: Surroundings<'_>, quiet_since: Monotonic) -> Result<Vec<IdlePower>, Unrest> {
    let Surroundings {
        timeline,
        telemetry,
        logical_cpus,
    } = surroundings;
    let end = sampled_until(timeline).ok_or(Unrest::NoReading)?;
    let quiet_sec = end.sec_since(quiet_since);
    let mut refusal = Unrest::TooShort(quiet_sec.max(0.0));
    for length_sec in STRETCHES_SEC.into_iter().filter(|length_sec| *length_sec <= quiet_sec) {
        let start = Monotonic::from_sec(end.as_sec() - length_sec);
        let span = Span { start, end };
        match unrest(timeline, telemetry, span, logical_cpus) {
            Some(why) => refusal = why,
            None => {
                let window = Window {
                    start_monotonic_sec: start.as_sec(),
                    end_monotonic_sec: end.as_sec(),
                };
                let powers = idle_powers_over(timeline, &window);
                return if powers.is_empty() {
                    Err(Unrest::NoReading)
                } else {
                    Ok(powers)
                };
            }
        }
    }
    Err(refusal)
}

/// Power over `window`, whatever happened in it, of every source that counts in a total.
pub fn idle_powers_over(timeline: &Timeline, window: &Window) -> Vec<IdlePower> {
    let counted = readings(timeline, window)
        .into_iter()
        .filter(|reading| reading.counted_in_total);
    counted
        .map(|reading| IdlePower {
            window: *window,
            reading,
        })
        .collect()
}

/// Up to when every source that still answers was read.
fn sampled_until(timeline: &Timeline) -> Option<Monotonic> {
    let answering = timeline.tracks().iter().filter(|track| track.last_error.is_none());
    answering
        .filter_map(|track| track.chosen().last())
        .map(|sample| sample.at)
        .min()
}

fn unrest(timeline: &Timeline, telemetry: &TelemetryLog, span: Span, logical_cpus: u32) -> Option<Unrest> {
    match timeline.host_cpu().rate_between(span.start, span.end) {
        None => return Some(Unrest::CpuUnknown),
        Some(busy_cpus) => {
            let share = busy_cpus / f64::from(logical_cpus.max(1));
            if share > BUSY_SHARE_AT_REST {
                return Some(Unrest::CpuBusy(share));
            }
        }
    }
    for gpu in &telemetry.gpus {
        let samples = gpu.during(span);
        if samples
            .iter()
            .any(|(sample, _)| sample.brisk.utilisation_percent.is_some_and(|percent| percent > 0))
        {
            return Some(Unrest::GpuBusy(gpu.id.index));
        }
        let mut temperatures = samples.iter().filter_map(|(sample, _)| sample.slow.temperature_c);
        let first = temperatures.next();
        let cooled_c = first
            .zip(temperatures.next_back())
            .map_or(0, |(first, last)| first.saturating_sub(last));
        if cooled_c > COOLING_AT_REST_C {
            return Some(Unrest::GpuCooling(gpu.id.index));
        }
    }
    None
}

#[cfg(test)]
mod tests;
