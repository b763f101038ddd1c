//! The idle baseline: the power that every source shows while the host is idle, read from past samples.
//!
//! Owns the definition of an idle host and the age up to which a baseline is used. Pure: nothing waits for a baseline,
//! and no extra measurement is made for it. Leaves to the caller what runs on the host: it gives the time since which
//! nothing has run.

pub mod idle_baselines;

use super::environment::Surroundings;
use super::estimation::series::Span;
use super::estimation::timeline::Timeline;
use super::estimation::window::readings;
use super::telemetry::TelemetryLog;
use joulemark_measurement::clock::Monotonic;
use joulemark_measurement::{IdlePower, Window};

/// Lengths in seconds of the windows that are tried, longest first. A counter that refreshes every 100 ms is known to
/// 0.5 % over 20 s and to 2 % over 5 s.
const STRETCHES_SEC: [f64; 3] = [20.0, 10.0, 5.0];
/// Length in seconds of the shortest window that is tried.
const SHORTEST_SEC: f64 = 5.0;

/// Maximum busy share of all CPUs of an idle host. The host's housekeeping and this meter (at most 2 % of one CPU at
/// 100 Hz) stay below it; one busy thread on 16 CPUs exceeds it.
const BUSY_SHARE_AT_REST: f64 = 0.05;

/// Maximum cooling in °C of a GPU over an idle window. A GPU that cools by more is still warm from earlier work.
const COOLING_AT_REST_C: u32 = 2;

/// The reason why no idle baseline can be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotIdle {
    /// Nothing has run for this many seconds, fewer than the shortest window needs.
    #[error("the host must be idle for {SHORTEST_SEC} s before the run and was idle for {:.0} s", .0.floor().max(0.0))]
    TooShort(f64),
    /// This share of the host's CPUs was busy, from 0 to 1.
    #[error("the host's CPUs were {:.0} % busy; an idle host's are at most {:.0} % busy", .0 * 100.0, BUSY_SHARE_AT_REST * 100.0)]
    CpuBusy(f64),
    /// The host's CPU time is unknown.
    #[error("the host's CPU time is unknown, so the host cannot be found idle")]
    CpuUnknown,
    /// The GPU of this NVML index was in use.
    #[error("GPU {0} was in use")]
    GpuBusy(u32),
    /// The GPU of this NVML index was still cooling down.
    #[error("GPU {0} was still cooling down")]
    GpuCooling(u32),
    /// No source was read without a gap.
    #[error("no source was read without a gap")]
    NoReading,
}

/// Returns the idle power of every source that counts in a total, over the longest window up to the newest sample in
/// which the host was idle. The window begins at `quiet_since` or later.
///
/// # Errors
/// Returns the [`NotIdle`] of the shortest window tried when the host was not idle in any.
pub fn idle_powers(surroundings: Surroundings<'_>, quiet_since: Monotonic) -> Result<Vec<IdlePower>, NotIdle> {
    let Surroundings {
        timeline,
        telemetry,
        logical_cpus,
    } = surroundings;
    let end = sampled_until(timeline).ok_or(NotIdle::NoReading)?;
    let quiet_sec = end.sec_since(quiet_since);
    let mut reason = NotIdle::TooShort(quiet_sec.max(0.0));
    for length_sec in STRETCHES_SEC.into_iter().filter(|length_sec| *length_sec <= quiet_sec) {
        let start = Monotonic::from_sec(end.as_sec() - length_sec);
        let span = Span { start, end };
        match why_not_idle(timeline, telemetry, span, logical_cpus) {
            Some(why) => reason = why,
            None => {
                let window = Window {
                    start_monotonic_sec: start.as_sec(),
                    end_monotonic_sec: end.as_sec(),
                };
                let powers = idle_powers_over(timeline, &window);
                return if powers.is_empty() {
                    Err(NotIdle::NoReading)
                } else {
                    Ok(powers)
                };
            }
        }
    }
    Err(reason)
}

/// Returns the power over `window` of every source that counts in a total. Does not check that the host was idle.
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

/// Returns the time up to which every source without a read error is sampled; `None` when there is none.
fn sampled_until(timeline: &Timeline) -> Option<Monotonic> {
    let answering = timeline.tracks().iter().filter(|track| track.last_error.is_none());
    answering
        .filter_map(|track| track.chosen().last())
        .map(|sample| sample.at)
        .min()
}

/// Returns the reason why the host was not idle over `span`; `None` when it was.
fn why_not_idle(timeline: &Timeline, telemetry: &TelemetryLog, span: Span, logical_cpus: u32) -> Option<NotIdle> {
    match timeline.host_cpu().rate_between(span.start, span.end) {
        None => return Some(NotIdle::CpuUnknown),
        Some(busy_cpus) => {
            let share = busy_cpus / f64::from(logical_cpus.max(1));
            if share > BUSY_SHARE_AT_REST {
                return Some(NotIdle::CpuBusy(share));
            }
        }
    }
    for gpu in &telemetry.gpus {
        let samples = gpu.during(span);
        if samples
            .iter()
            .any(|(sample, _)| sample.fast.utilisation_percent.is_some_and(|percent| percent > 0))
        {
            return Some(NotIdle::GpuBusy(gpu.id.index));
        }
        let mut temperatures = samples.iter().filter_map(|(sample, _)| sample.slow.temperature_c);
        let first = temperatures.next();
        let cooled_c = first
            .zip(temperatures.next_back())
            .map_or(0, |(first, last)| first.saturating_sub(last));
        if cooled_c > COOLING_AT_REST_C {
            return Some(NotIdle::GpuCooling(gpu.id.index));
        }
    }
    None
}

#[cfg(test)]
mod tests;
