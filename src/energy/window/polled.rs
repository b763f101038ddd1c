//! Energy from polled power: where a value belongs in time, and what polling can have missed.

use super::doubt::{Doubt, IN_WORDS, combined};
use crate::clock::Monotonic;
use crate::energy::series::{Growth, Series, Span, Unknown};
use crate::energy::timeline::Track;
use crate::units::{MILLISECONDS_PER_SECOND, MILLIWATTS_PER_WATT};

/// A sensor whose refresh could not be told from its values is taken for one that may be this slow.
const UNTOLD_REFRESH_SEC: f64 = 0.04;

const LOOK_BACK_SEC: f64 = 2.0;

/// NVML tells power in milliwatts.
const SMALLEST_STEP_W: f64 = 1.0 / MILLIWATTS_PER_WATT;

/// What a value averaged over A seconds hides at an edge: a step at the edge itself moves at most an eighth of A times
/// its height across it; a swing within A less.
const AVERAGED_EDGE_PART: f64 = 0.2;

/// Averages this far apart are compared to see how they move; closer ones show the sensor's noise.
const SLOPE_SEC: f64 = 0.2;

/// The integral over `span`, each value placed in the middle of the time it speaks for.
pub fn measure(track: &Track, span: Span) -> Result<(Growth, Doubt), Unknown> {
    let power = &track.power;
    let later = |at: Monotonic| Monotonic::from_sec(at.as_sec() + track.power_lag_sec());
    let last = power.last().ok_or(Unknown::NeverSampled)?;
    if last.at < span.end {
        return Err(Unknown::EndedEarly(span.end.sec_since(last.at)));
    }
    let (start, end) = (later(span.start), later(span.end));
    // Just after the window's end its last moments have not been shown yet: the power last seen stands for them.
    let seen_until = end.min(last.at);
    let unseen_sec = end.sec_since(seen_until);
    let refresh_sec = track.power_refresh_sec().unwrap_or(UNTOLD_REFRESH_SEC);
    let mut growth = power.growth(
        Span {
            start: start.min(seen_until),
            end: seen_until,
        },
        refresh_sec,
    )?;
    growth.polling2 += (unresolved2_around(power, start, seen_until) - growth.unresolved2).max(0.0);
    let last_w = last.power_w.unwrap_or(0.0);
    growth.total += last_w * unseen_sec;
    let doubt = doubt(
        track,
        &growth,
        [start, seen_until],
        refresh_sec,
        last_w * unseen_sec / 2.0,
    );
    Ok((growth, doubt))
}

/// A short window takes its doubt from the seconds before as well: that its polls missed a load's bursts tells nothing.
fn unresolved2_around(power: &Series, start: Monotonic, end: Monotonic) -> f64 {
    let earlier = Monotonic::from_sec((start.as_sec() - LOOK_BACK_SEC).max(0.0));
    let span = Span {
        start: power.first().map_or(earlier, |first| first.at.max(earlier)),
        end,
    };
    let part = end.sec_since(start) / span.sec();
    power.growth(span, 0.0).map_or(0.0, |growth| growth.unresolved2 * part)
}

fn doubt(track: &Track, growth: &Growth, edges: [Monotonic; 2], refresh_sec: f64, unseen_j: f64) -> Doubt {
    let averaging_sec = track.description.averaging_sec;
    let middle = |part: f64| Monotonic::from_sec(edges[0].as_sec() + part * edges[1].sec_since(edges[0]));
    let [start_w, end_w] = edges.map(|at| power_at(&track.power, at));
    let within_w = [0.25, 0.5, 0.75].map(|part| power_at(&track.power, middle(part)));
    let most_w = within_w.into_iter().fold(start_w.max(end_w), f64::max);
    let least_w = within_w.into_iter().fold(start_w.min(end_w), f64::min);
    // The age of what a poll shows is known to half a refresh, or to half the polls' spacing where those are
    // closer. It shifts both edges the same way, unless it drifts while the power changes.
    let age_sec = refresh_sec.min(growth.interval_sec.unwrap_or(refresh_sec)) / 2.0;
    let shifted_j = (end_w - start_w).abs().max((most_w - least_w) / 2.0) * age_sec;
    let averaged_j = edges.map(|at| averaged_edge_j(&track.power, at, averaging_sec));
    let polling_j = growth.polling2.sqrt();
    let step_j = SMALLEST_STEP_W * edges[1].sec_since(edges[0]);
    Doubt {
        half_width_j: combined([polling_j, shifted_j, unseen_j, averaged_j[0], averaged_j[1], step_j].into_iter()),
        basis: format!(
            "95 %: each jump of power somewhere between two polls or refreshes of {:.0} ms (±{polling_j:.3} J together), \
             the sensor's age at the edges (±{:.3} J), what its average of {:.0} ms hides there (±{:.3} and ±{:.3} J); \
             {IN_WORDS} the instrument's own accuracy is not in it",
            refresh_sec * MILLISECONDS_PER_SECOND,
            shifted_j + unseen_j,
            averaging_sec * MILLISECONDS_PER_SECOND,
            averaged_j[0],
            averaged_j[1],
        ),
    }
}

/// A running average moves by (power now − power one average ago) ÷ its length: its steepest slope around the edge
/// tells how far the power swings there.
fn averaged_edge_j(power: &Series, at: Monotonic, averaging_sec: f64) -> f64 {
    if averaging_sec <= 0.0 {
        return 0.0;
    }
    let moment = |sec: f64| Monotonic::from_sec((at.as_sec() + sec).max(0.0));
    let slopes = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0].map(|step| {
        let from = step * SLOPE_SEC;
        (power_at(power, moment(from + SLOPE_SEC)) - power_at(power, moment(from))).abs() / SLOPE_SEC
    });
    let swing_w = slopes.into_iter().fold(0.0, f64::max) * averaging_sec;
    AVERAGED_EDGE_PART * averaging_sec * swing_w
}

/// Power at `at`, or the nearest that was read.
fn power_at(power: &Series, at: Monotonic) -> f64 {
    power.nearest(at).and_then(|sample| sample.power_w).unwrap_or(0.0)
}
