//! Computes energy from polled power, and what polling can have missed.
//!
//! Owns which errors count for a window. Leaves the curve and the size of each error to `series`.

use super::averaged::{Averaged, Energy};
use super::uncertainty::{IN_WORDS, Uncertainty, combined};
use crate::estimation::series::{Growth, MAX_REFRESH_SEC, PowerCurve, PowerCurveErrors, Span, Unknown};
use crate::estimation::track::Track;
use joulemark_measurement::units::{MILLISECONDS_PER_SECOND, MILLIWATTS_PER_WATT};

/// √3: half-width of the uniform distribution that has a standard deviation of 1. Normal errors count as such.
const NORMAL_AS_EVEN: f64 = 1.732;

/// Maximum bend of an average within an unread interval, as a factor of the interval squared over the averaging time
/// and of the range of power.
const UNREAD_BEND: f64 = 0.33;

/// Error at an edge within an averaging time of an unread interval, as a factor of the averaging time and of the range
/// of power.
const UNREAD_AT_AN_EDGE: f64 = 0.25;
/// The same at an edge further away.
const UNREAD_NEARBY: f64 = 0.083;

/// Seconds over which a movement of the average is distinguished from its noise.
const MOVES_OVER_SEC: f64 = 0.1;

/// Resolution of NVML's power readings in W: 1 mW.
const SMALLEST_STEP_W: f64 = 1.0 / MILLIWATTS_PER_WATT;

/// Returns the integral over `span` of power as it was refreshed. Where the sensor averages, it is the energy that was
/// averaged.
///
/// # Errors
/// Returns [`Unknown`] when readings do not cover the span.
pub fn measure(track: &Track, span: Span) -> Result<(Growth, Uncertainty), Unknown> {
    let mut growth = track.power.growth(span, 0.0)?;
    let detected_sec = track.power_refresh_sec();
    let longest_sec = track.description.refresh_sec;
    // Where values do not show the period, the longest that their changes allow is used, and half of it for the curve.
    let undetected_sec = detected_sec.map_or_else(|| track.power.slowest_refresh_sec(span, longest_sec), |_| 0.0);
    let refresh_sec = detected_sec.unwrap_or(undetected_sec / 2.0);
    let curve = track.power.refreshed(span, refresh_sec);
    let averaging_sec = track.description.averaging_sec;
    let energy = if averaging_sec > 0.0 {
        let averaged = Averaged {
            curve: &curve,
            averaging_sec,
        };
        averaged.between(0.0, span.sec())
    } else {
        Energy {
            total_j: curve.total(span.sec()) - curve.total(0.0),
            half_width_j: 0.0,
        }
    };
    growth.total = energy.total_j;
    let edges_j = energy.half_width_j;
    let missed = Missed::estimate(&curve, span.sec(), refresh_sec, undetected_sec);
    let unseen_j = curve.power_w(span.sec()) * (span.sec() + averaging_sec / 2.0 - curve.end()).max(0.0) / 2.0;
    let unread_j: Vec<f64> = track
        .power
        .unread(span, MAX_REFRESH_SEC)
        .into_iter()
        .map(|unread| unread_j(&curve, averaging_sec, span.sec(), unread))
        .collect();
    let step_j = SMALLEST_STEP_W * span.sec();
    let whole = [
        missed.bursts_j,
        missed.noise_j,
        missed.aged_j,
        unseen_j,
        step_j,
        edges_j,
    ];
    let parts = missed
        .changes_j
        .iter()
        .chain(&missed.moved_j)
        .chain(&unread_j)
        .chain(&whole);
    let together = |parts: &[f64]| combined(parts.iter().copied());
    let uncertainty = Uncertainty {
        half_width_j: combined(parts.copied()),
        basis: format!(
            "95 %: the unknown moment of each change of power between two refreshes of {:.0} ms (±{:.3} J together), \
             bursts shorter than a refresh (±{:.3} J), the times of the refreshes (±{:.3} J), noise (±{:.3} J), an age common \
             to all values (±{:.3} J), power not shown yet at the end (±{unseen_j:.3} J), power while nothing was read \
             (±{:.3} J), changes at the edges within an average of {:.0} ms (±{edges_j:.3} J); {IN_WORDS} the instrument's \
             own accuracy is not included",
            refresh_sec * MILLISECONDS_PER_SECOND,
            together(&missed.changes_j),
            missed.bursts_j,
            together(&missed.moved_j),
            missed.noise_j,
            missed.aged_j,
            together(&unread_j),
            averaging_sec * MILLISECONDS_PER_SECOND,
        ),
    };
    Ok((growth, uncertainty))
}

/// Returns the half-width in J of the error that an unread interval causes in the energy from 0 to `sec`. Power in it
/// was between the lowest and the highest value around.
fn unread_j(curve: &PowerCurve, averaging_sec: f64, sec: f64, (from, to): (f64, f64)) -> f64 {
    let values = || curve.points().iter().map(|point| point.power_w);
    let range_w = values().fold(0.0, f64::max) - values().fold(f64::INFINITY, f64::min);
    if averaging_sec > 0.0 {
        // An average moves by the change of power within it, which may be larger than the range of the average's
        // values.
        let cells = ((curve.end() - curve.start()) / MOVES_OVER_SEC) as u32;
        let moved_w = |cell: u32| {
            let at = curve.start() + f64::from(cell) * MOVES_OVER_SEC;
            (curve.power_w(at + MOVES_OVER_SEC) - curve.power_w(at)).abs()
        };
        let fastest_w = (0..cells).map(moved_w).fold(0.0, f64::max) / MOVES_OVER_SEC * averaging_sec;
        let range_w = range_w.max(fastest_w);
        return unread_average_j(range_w, averaging_sec, sec, (from, to));
    }
    let (from, to) = (from.max(0.0), to.min(sec));
    range_w * (to - from).max(0.0)
}

/// Returns the same for a sensor that averages.
fn unread_average_j(range_w: f64, averaging_sec: f64, sec: f64, (from, to): (f64, f64)) -> f64 {
    let is_beside = |edge: f64| from < edge + averaging_sec && to > edge;
    let within_sec = (to.min(sec + averaging_sec / 2.0) - from.max(averaging_sec / 2.0)).max(0.0);
    // The change of an average per second is limited.
    let bent_sec = (UNREAD_BEND * within_sec * (to - from) / averaging_sec).min(within_sec);
    let at_edges_sec: f64 = [0.0, sec]
        .into_iter()
        .map(|edge| {
            averaging_sec
                * if is_beside(edge) {
                    UNREAD_AT_AN_EDGE
                } else {
                    UNREAD_NEARBY
                }
        })
        .sum();
    range_w * (bent_sec + at_edges_sec)
}

/// Half-widths in J of the errors of a curve through refreshes.
struct Missed {
    /// Unknown moment of each change between two refreshes.
    changes_j: Vec<f64>,
    /// Uncertain times of refreshes.
    moved_j: Vec<f64>,
    /// Bursts shorter than a refresh.
    bursts_j: f64,
    /// Noise of the values.
    noise_j: f64,
    /// Unknown age that all values share.
    aged_j: f64,
}

impl Missed {
    /// Estimates the errors from 0 to `sec`.
    fn estimate(curve: &PowerCurve, sec: f64, refresh_sec: f64, undetected_sec: f64) -> Self {
        let errors = PowerCurveErrors::of(curve, refresh_sec);
        // The curve has each change in the middle. Where the period is unknown a value may be older by half of it.
        let changes = errors
            .jumps(0.0, sec)
            .map(|jump| jump.watts * jump.sec.max(undetected_sec) / 2.0);
        // The bursts of a short window are estimated from the time before it as well.
        let earlier = curve.start();
        let once = errors.jumps(earlier, sec).filter(|jump| jump.is_lone);
        // A value that was seen once lasted between a moment and two refreshes.
        let once_j2: f64 = once.map(|jump| (jump.watts * jump.sec).powi(2)).sum();
        Self {
            changes_j: changes.collect(),
            moved_j: errors.displaced_j(0.0, sec),
            bursts_j: (once_j2 * sec / (sec - earlier)).sqrt(),
            noise_j: NORMAL_AS_EVEN * errors.noise_w() * sec / (curve.count(0.0, sec).max(1) as f64).sqrt(),
            aged_j: (curve.power_w(sec) - curve.power_w(0.0)).abs() * undetected_sec / 4.0,
        }
    }
}
