//! Energy from polled power: where a value belongs in time, and what polling can have missed.

use super::averaged::Averaged;
use super::doubt::{Doubt, IN_WORDS, of_many};
use crate::energy::series::{Growth, Span, Unknown};
use crate::energy::timeline::Track;
use crate::units::{MILLISECONDS_PER_SECOND, MILLIWATTS_PER_WATT};

/// A sensor whose refresh could not be told from its values is taken for one that may be this slow.
const UNTOLD_REFRESH_SEC: f64 = 0.04;

/// Polls tell to half their spacing when a refresh was.
const PLACE_SEC: f64 = 0.01;

/// Refreshes are put to this part of their period, and no better than a thread is woken.
const ALIKE_PART: f64 = 0.05;
const ALIKE_SEC: f64 = 1e-3;

/// The 95 % point of a difference of two even delays, in units of the longest.
const TRIANGLE: f64 = 0.78;

/// A short window takes its doubt of noise and bursts from the seconds before as well.
const LOOK_BACK_SEC: f64 = 2.0;

/// NVML tells power in milliwatts.
const SMALLEST_STEP_W: f64 = 1.0 / MILLIWATTS_PER_WATT;

/// The integral over `span` of power as it was refreshed; of an average, the energy that it is the average of.
pub fn measure(track: &Track, span: Span) -> Result<(Growth, Doubt), Unknown> {
    let told = track.power_refresh_sec();
    let refresh_sec = told.unwrap_or(UNTOLD_REFRESH_SEC);
    let mut growth = track.power.growth(span, 0.0)?;
    let curve = track.power.refreshed(span, refresh_sec);
    let (start, end) = (0.0, span.sec());
    let averaging_sec = track.description.averaging_sec;
    let mut edges_j = [0.0; 2];
    if averaging_sec > 0.0 {
        let averaged = Averaged {
            curve: &curve,
            averaging_sec,
            place_sec: PLACE_SEC.min(refresh_sec / 2.0),
            noise_w: curve.noise_w(),
        };
        let levels = [start, end].map(|at| averaged.level(at));
        growth.total = levels[1].total_j - levels[0].total_j;
        edges_j = levels.map(|level| level.half_width_j);
    } else {
        growth.total = curve.total(end) - curve.total(start);
    }
    let unseen_j = curve.power_w(end) * (end + averaging_sec / 2.0 - curve.end()).max(0.0);
    let seen = curve.integral(start, end);
    let earlier = (start - LOOK_BACK_SEC).max(curve.start());
    let around = curve.integral(earlier, end);
    let unresolved_j2 = around.unresolved_j2 * span.sec() / (end - earlier);
    let changes_j = (seen.changes_j2 - seen.unresolved_j2 + unresolved_j2).max(0.0).sqrt();
    let moved_j = seen.moved_j2.sqrt();
    // A refresh that is not told may delay every change by as much, and each alike where the load keeps step with it.
    let slowest_sec = if told.is_some() {
        0.0
    } else {
        track.description.refresh_sec
    };
    let delayed_j = TRIANGLE * seen.jumps_w * slowest_sec / 2.0;
    // Where refreshes are put may be off alike for all of them, which tells where power ends other than it began.
    let alike_sec = told.map_or(slowest_sec / 2.0, |refresh_sec| ALIKE_PART * refresh_sec + ALIKE_SEC);
    let aged_j = (curve.power_w(end) - curve.power_w(start)).abs() * alike_sec;
    let step_j = SMALLEST_STEP_W * span.sec();
    let doubt = Doubt {
        half_width_j: of_many(
            changes_j.hypot(moved_j),
            [unseen_j / 2.0, step_j, edges_j[0], edges_j[1], delayed_j + aged_j].into_iter(),
        ),
        basis: format!(
            "95 %: each change of power somewhere between two refreshes of {:.0} ms (±{changes_j:.3} J together), when \
             those were (±{moved_j:.3} J), an age that all values share (±{:.3} J), what was not shown yet at the end (±{:.3} J), what an average of {:.0} ms \
             hides at the edges (±{:.3} and ±{:.3} J); {IN_WORDS} the instrument's own accuracy is not in it",
            refresh_sec * MILLISECONDS_PER_SECOND,
            delayed_j + aged_j,
            unseen_j / 2.0,
            averaging_sec * MILLISECONDS_PER_SECOND,
            edges_j[0],
            edges_j[1],
        ),
    };
    Ok((growth, doubt))
}
