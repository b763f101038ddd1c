//! Polled power as its sensor brought it: one point a refresh, placed when the refresh was, not when it was read. Pure.
//!
//! A poll shows a value of unknown age; a poll that shows another value than the one before tells that a refresh lay
//! between them. The curve through the refreshes needs no mean age to be guessed.

use super::power::{Knot, Knots, Roughness};
use super::{Sample, Series, Span};
use crate::clock::Monotonic;

/// What scatters more than this is the load, not the sensor.
const MOST_NOISE_W: f64 = 0.5;

/// Points beyond the span's ends, so that changes at its edges are judged by their neighbours.
const AROUND_SEC: f64 = 2.5;

#[derive(Clone, Copy, Debug)]
struct Point {
    at: f64,
    power_w: f64,
    /// W·s since the first point.
    total: f64,
    roughness: Roughness,
    /// (W·s)²: squared half-widths of what the points' own places may have moved.
    moved_j2: f64,
}

/// Power around a span, in seconds from its start.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    points: Vec<Point>,
}

/// The curve's integral between two moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integral {
    pub total_j: f64,
    /// Squared half-widths in J²: changes somewhere between two refreshes, and refreshes not exactly where they were put.
    pub changes_j2: f64,
    pub moved_j2: f64,
    /// The part of `changes_j2` that is bursts or noise between refreshes.
    pub unresolved_j2: f64,
    /// Sum of all changes that their neighbours do not foretell, in watts.
    pub jumps_w: f64,
}

impl Series {
    /// The refreshes in and around `span`, which must be covered by readings of one epoch. `refresh_sec` is how old a
    /// value can be when it is read; 0 for one that is always fresh.
    pub fn refreshed(&self, span: Span, refresh_sec: f64) -> Refreshed {
        let origin = span.start;
        let begin = self
            .samples
            .partition_point(|sample| sample.at.sec_since(origin) < -AROUND_SEC);
        let end = self
            .samples
            .partition_point(|sample| sample.at.sec_since(origin) < span.sec() + AROUND_SEC);
        let epoch = self.nearest(span.start).map_or(0, |sample| sample.epoch);
        let caught = self.caught(begin..end, epoch, origin, refresh_sec);
        let mut curve = Curve::default();
        let mut last: Option<&Sample> = None;
        for index in begin..end {
            let sample = &self.samples[index];
            let Some(power_w) = sample.power_w.filter(|_| sample.epoch == epoch) else {
                continue;
            };
            let Some(before) = last.replace(sample) else {
                curve.add(sample.at.sec_since(origin), 0.0, power_w);
                continue;
            };
            if before.power_w == Some(power_w) {
                continue;
            }
            let place = self.place(sample, origin, refresh_sec, &caught);
            // The value before stood until it was last read, or was brought again by the refresh before this one.
            let read = before.at.sec_since(origin);
            let held = if refresh_sec > 0.0 {
                read.min(place.at - refresh_sec)
            } else {
                read
            };
            curve.add(held, 0.0, before.power_w.unwrap_or(power_w));
            curve.add(place.at, place.half, power_w);
        }
        if let Some(last) = last {
            curve.add(last.at.sec_since(origin), 0.0, last.power_w.unwrap_or(0.0));
        }
        Refreshed { points: curve.points }
    }

    fn place(&self, sample: &Sample, origin: Monotonic, refresh_sec: f64, caught: &[(f64, f64)]) -> Place {
        let by = sample.changed_by.sec_since(origin);
        if refresh_sec <= 0.0 {
            return Place { at: by, half: 0.0 };
        }
        let wide = (sample.changed_after.sec_since(origin).max(by - refresh_sec), by);
        let ((after, by), _) = self.narrowed(wide, caught);
        Place {
            at: (after + by) / 2.0,
            half: (by - after) / 2.0,
        }
    }
}

struct Place {
    at: f64,
    half: f64,
}

#[derive(Default)]
struct Curve {
    points: Vec<Point>,
    knots: Knots,
    /// Half-width of the last point's place.
    half: f64,
}

impl Curve {
    fn add(&mut self, at: f64, half: f64, power_w: f64) {
        let Some(last) = self.points.last().copied() else {
            self.points.push(Point {
                at,
                power_w,
                total: 0.0,
                roughness: Roughness::default(),
                moved_j2: 0.0,
            });
            return;
        };
        if at <= last.at {
            return;
        }
        let (sec, step_w) = (at - last.at, power_w - last.power_w);
        let mut roughness = last.roughness;
        let knot = Knot {
            at: Monotonic::from_sec(at + ORIGIN_SEC),
            power_w,
            gap_sec: sec,
        };
        self.knots.note(knot, &mut roughness);
        let moved_j = step_w / 2.0 * half.max(self.half);
        self.half = half;
        self.points.push(Point {
            at,
            power_w,
            total: last.total + (last.power_w + power_w) / 2.0 * sec,
            roughness,
            moved_j2: last.moved_j2 + moved_j * moved_j,
        });
    }
}

/// Knots are stamped from here on, so that no stamp is negative.
const ORIGIN_SEC: f64 = 1e3;

impl Refreshed {
    /// From `start` to `end`, in seconds from the span's start.
    pub fn integral(&self, start: f64, end: f64) -> Integral {
        let (before, after) = (self.before(start), self.after(end));
        Integral {
            total_j: self.total(end) - self.total(start),
            changes_j2: before.roughness.doubt_j2(after.roughness),
            moved_j2: after.moved_j2 - before.moved_j2,
            unresolved_j2: before.roughness.unresolved_j2(after.roughness),
            jumps_w: before.roughness.jumps_w(after.roughness),
        }
    }

    /// W·s from the first point to `at`; beyond the points power stays what it was.
    pub fn total(&self, at: f64) -> f64 {
        let before = self.before(at);
        let since = at - before.at;
        before.total + (before.power_w + self.power_w(at)) / 2.0 * since
    }

    pub fn power_w(&self, at: f64) -> f64 {
        let (before, after) = (self.before(at), self.after(at));
        if after.at <= before.at {
            return before.power_w;
        }
        let part = ((at - before.at) / (after.at - before.at)).clamp(0.0, 1.0);
        before.power_w + part * (after.power_w - before.power_w)
    }

    /// Highest less lowest power between two moments.
    pub fn range_w(&self, start: f64, end: f64) -> f64 {
        let inside = self
            .points
            .iter()
            .filter(|point| point.at > start && point.at < end)
            .map(|point| point.power_w);
        let (low, high) = inside
            .chain([self.power_w(start), self.power_w(end)])
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), power_w| {
                (low.min(power_w), high.max(power_w))
            });
        high - low
    }

    /// Standard deviation of the values' noise in W, from what each differs from the middle of its neighbours; a load
    /// that changes is not taken for noise where it does so seldom.
    pub fn noise_w(&self) -> f64 {
        let mut apart: Vec<f64> = self
            .points
            .windows(3)
            .map(|three| (three[0].power_w - 2.0 * three[1].power_w + three[2].power_w).abs())
            .collect();
        if apart.is_empty() {
            return 0.0;
        }
        apart.sort_by(f64::total_cmp);
        (apart[apart.len() / 10] / (0.1257 * 6.0f64.sqrt())).min(MOST_NOISE_W)
    }

    /// Where the last refresh that was seen lies.
    pub fn end(&self) -> f64 {
        self.points.last().map_or(0.0, |point| point.at)
    }

    pub fn start(&self) -> f64 {
        self.points.first().map_or(0.0, |point| point.at)
    }

    fn before(&self, at: f64) -> Point {
        self.points[self.points.partition_point(|point| point.at <= at).saturating_sub(1)]
    }

    fn after(&self, at: f64) -> Point {
        let index = self.points.partition_point(|point| point.at < at);
        self.points[index.min(self.points.len() - 1)]
    }
}
