//! Polled power as its sensor brought it: one point a refresh, placed when the refresh was, not when it was read. Pure.
//!
//! A poll shows a value of unknown age; a poll that shows another value than the one before tells that a refresh lay
//! between them. The curve through the refreshes needs no mean age to be guessed.

use std::collections::BTreeMap;

use super::samples::{Sample, Series};
use super::span::Span;
use joulemark_measurement::clock::Monotonic;

/// What scatters more than this is the load, not the sensor.
const MAX_NOISE_W: f64 = 0.5;

/// Points beyond the span's ends, so that changes at its edges are judged by their neighbours.
const AROUND_SEC: f64 = 8.5;

/// Values that last longer than any sensor's refresh are levels of the load.
const LEVEL_SEC: f64 = 0.15;

/// A difference of two values of one level stays below so many standard deviations of their noise.
const BEYOND_NOISE: f64 = 4.0;

/// A place known to no better than this part of a refresh on either side.
const UNSHARP: f64 = 0.33;

/// The spacing of readings is uneven by half of it: where that is a whole refresh they are not in step with it.
const OUT_OF_STEP: f64 = 2.0;

/// A change is a jump in full where this part of it is not foretold.
const BEND: f64 = 0.5;

#[derive(Clone, Copy, Debug)]
struct Point {
    at: f64,
    /// How far off that may be.
    half: f64,
    /// The refresh caught in the act that it was placed by, whose doubt it shares.
    leans: Option<usize>,
    power_w: f64,
    /// How fast power changes there: a smooth load is followed between the points, a jump is not overshot.
    slope: f64,
    /// W·s since the first point.
    total: f64,
}

/// Power around a span, in seconds from its start.
#[derive(Clone, Debug, Default)]
pub struct PowerCurve {
    points: Vec<Point>,
    noise_w: f64,
    /// How slow the sensor may be.
    slowest_sec: f64,
}

/// A change of power between two points that the points beside them do not foretell: it came at once, at any moment
/// between the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    pub watts: f64,
    pub sec: f64,
    /// Whether it leads to or from a value that was seen once: what made it may have been much shorter.
    pub lone: bool,
}

impl Series {
    /// The refreshes in and around `span`, which must be covered by readings of one epoch. `refresh_sec` is how old a
    /// value can be when it is read; 0 for one that is always fresh.
    pub fn refreshed(&self, span: Span, refresh_sec: f64) -> PowerCurve {
        let origin = span.start;
        let begin = self
            .samples
            .partition_point(|sample| sample.at.sec_since(origin) < -AROUND_SEC);
        let end = self
            .samples
            .partition_point(|sample| sample.at.sec_since(origin) < span.sec() + AROUND_SEC);
        let epoch = self.nearest(span.start).map_or(0, |sample| sample.epoch);
        let caught = self.caught(begin..end, epoch, origin, refresh_sec);
        let mut curve = PowerCurve {
            slowest_sec: refresh_sec,
            ..PowerCurve::default()
        };
        let mut last: Option<&Sample> = None;
        for index in begin..end {
            let sample = &self.samples[index];
            let Some(power_w) = sample.power_w.filter(|_| sample.epoch == epoch) else {
                continue;
            };
            let Some(before) = last.replace(sample) else {
                curve.add(Place::exactly(sample.at.sec_since(origin)), power_w);
                continue;
            };
            if before.power_w == Some(power_w) {
                continue;
            }
            let place = self.place(sample, origin, refresh_sec, &caught);
            // The value before stood until it was last read, or was brought again by the refresh before this one.
            let read = before.at.sec_since(origin);
            let held = if refresh_sec > 0.0 {
                place.at - ((place.at - read) / refresh_sec).ceil().max(1.0) * refresh_sec
            } else {
                read
            };
            // Nearer than that it is the refresh that brought it.
            if curve
                .points
                .last()
                .is_none_or(|point| held > point.at + refresh_sec / 2.0)
            {
                curve.add(Place::exactly(held), before.power_w.unwrap_or(power_w));
            }
            curve.add(place, power_w);
        }
        if let Some(last) = last {
            curve.add(Place::exactly(last.at.sec_since(origin)), last.power_w.unwrap_or(0.0));
        }
        curve.finish();
        curve
    }

    fn place(&self, sample: &Sample, origin: Monotonic, refresh_sec: f64, caught: &[(f64, f64)]) -> Place {
        let by = sample.changed_by.sec_since(origin);
        if refresh_sec <= 0.0 {
            return Place::exactly(by);
        }
        let wide = (sample.changed_after.sec_since(origin).max(by - refresh_sec), by);
        let placed = self.narrowed(wide, caught);
        let (after, by) = placed.within;
        Place {
            at: (after + by) / 2.0,
            half: (by - after) / 2.0,
            leans: placed.leans,
        }
    }
}

struct Place {
    at: f64,
    half: f64,
    leans: Option<usize>,
}

impl Place {
    fn exactly(at: f64) -> Self {
        Self {
            at,
            half: 0.0,
            leans: None,
        }
    }
}

impl PowerCurve {
    fn add(&mut self, place: Place, power_w: f64) {
        if self.points.last().is_none_or(|last| place.at > last.at) {
            self.points.push(Point {
                at: place.at,
                half: place.half,
                leans: place.leans,
                power_w,
                slope: 0.0,
                total: 0.0,
            });
        }
    }

    /// Draws the curve through the points.
    fn finish(&mut self) {
        let rate = |pair: &[Point]| (pair[1].power_w - pair[0].power_w) / (pair[1].at - pair[0].at);
        for index in 1..self.points.len().saturating_sub(1) {
            let [before, point, after] = [index - 1, index, index + 1].map(|index| self.points[index]);
            self.points[index].slope = one_way(
                (rate(&[before, point]), point.at - before.at),
                (rate(&[point, after]), after.at - point.at),
            );
        }
        for index in 1..self.points.len() {
            let before = self.points[index - 1];
            let sec = self.points[index].at - before.at;
            self.points[index].total = before.total + area(before, self.points[index], sec);
        }
        self.noise_w = self.scatter_w();
    }

    /// Every change from `start` to `end`, in seconds from the span's start, that its neighbours and the noise do not
    /// explain.
    pub fn jumps(&self, start: f64, end: f64) -> impl Iterator<Item = Jump> {
        let first = self.points.partition_point(|point| point.at <= start).saturating_sub(1);
        let last = self.points.partition_point(|point| point.at < end);
        (first..last.min(self.points.len().saturating_sub(1))).filter_map(|index| self.jump(index))
    }

    /// Between point number `index` and the next.
    fn jump(&self, index: usize) -> Option<Jump> {
        let (from, to) = (self.points[index], self.points[index + 1]);
        let sec = to.at - from.at;
        let own_w = to.power_w - from.power_w;
        let before = index.checked_sub(1).map(|before| (self.points[before], from));
        let after = self.points.get(index + 2).map(|after| (to, *after));
        // What the steps beside it say, where the value between them was no level of its own.
        let foretold = |beside: Option<(Point, Point)>| {
            let (one, other) = beside.filter(|(one, other)| other.at - one.at <= LEVEL_SEC)?;
            Some((other.power_w - one.power_w) / (other.at - one.at) * sec)
        };
        let (before_w, after_w) = (foretold(before).unwrap_or(0.0), foretold(after).unwrap_or(0.0));
        let beyond_w = own_w - own_w.clamp(before_w.min(after_w), before_w.max(after_w));
        let uneven_w = own_w - (before_w + after_w) / 2.0;
        let watts = if beyond_w.abs() < uneven_w.abs() {
            beyond_w
        } else {
            uneven_w
        };
        // What bends is smooth: its curve is followed.
        let watts = watts * (watts / (BEND * own_w)).abs().min(1.0);
        let explained_w = BEYOND_NOISE * self.noise_w;
        (watts.abs() > explained_w).then(|| Jump {
            watts: watts.abs(),
            sec,
            lone: self.is_lone(index, own_w),
        })
    }

    /// Whether power was back within a refresh of its sensor, before or after the step of `own_w` at point `index`.
    fn is_lone(&self, index: usize, own_w: f64) -> bool {
        let (from, to) = (self.points[index], self.points[index + 1]);
        let soon_sec = 1.5 * self.slowest_sec.max(to.at - from.at);
        let back = |pair: &[Point]| (pair[1].power_w - pair[0].power_w) * own_w.signum() < -own_w.abs() / 2.0;
        let after = self.points[index + 1..]
            .windows(2)
            .take_while(|pair| pair[1].at - to.at <= soon_sec);
        let before = self.points[..=index]
            .windows(2)
            .rev()
            .take_while(|pair| from.at - pair[0].at <= soon_sec);
        after.chain(before).any(back)
    }

    /// Half-widths in J of what comes of refreshes not being exactly where they were put. Those that were placed by the
    /// same one are off the same way, and what a rise gains by that a fall loses; the others are each off by themselves.
    pub fn displaced_j(&self, start: f64, end: f64) -> Vec<f64> {
        let first = self.points.partition_point(|point| point.at <= start).saturating_sub(1);
        let last = self
            .points
            .partition_point(|point| point.at < end)
            .min(self.points.len() - 1);
        let (mut together, mut alone) = (BTreeMap::<usize, f64>::new(), Vec::new());
        let mut in_step = 0.0f64;
        for index in first..=last {
            let point = self.points[index];
            let (before, after) = (self.points[index.max(first + 1) - 1], self.points[last.min(index + 1)]);
            let moved_j = (after.power_w - before.power_w) * point.half / 2.0;
            if let Some(on) = point.leans {
                *together.entry(on).or_default() += moved_j;
            } else if self.may_be_in_step(before, point) {
                if in_step * moved_j < 0.0 {
                    alone.push(std::mem::take(&mut in_step).abs());
                }
                in_step += moved_j;
            } else {
                alone.push(moved_j.abs());
            }
        }
        alone.push(in_step.abs());
        alone.extend(together.into_values().map(f64::abs));
        alone
    }

    /// Whether readings may have come at nearly the same moment of one refresh after the other.
    fn may_be_in_step(&self, before: Point, point: Point) -> bool {
        point.half > UNSHARP * self.slowest_sec && point.at - before.at < OUT_OF_STEP * self.slowest_sec
    }

    /// How many points there are between two moments.
    pub fn count(&self, start: f64, end: f64) -> usize {
        let up_to = |at: f64| self.points.partition_point(|point| point.at <= at);
        up_to(end) - up_to(start)
    }

    /// W·s from the first point to `at`; beyond the points power stays what it was.
    pub fn total(&self, at: f64) -> f64 {
        let (before, after) = (self.before(at), self.after(at));
        let since = at - before.at;
        if after.at <= before.at {
            return before.total + before.power_w * since;
        }
        before.total + area(before, after, since)
    }

    pub fn power_w(&self, at: f64) -> f64 {
        let (before, after) = (self.before(at), self.after(at));
        if after.at <= before.at {
            return before.power_w;
        }
        let part = ((at - before.at) / (after.at - before.at)).clamp(0.0, 1.0);
        before.power_w + part * (after.power_w - before.power_w)
    }

    /// Standard deviation of the values' noise in W.
    pub fn noise_w(&self) -> f64 {
        self.noise_w
    }

    /// That noise, from what each value differs from the middle of its neighbours; a load that changes is not taken for
    /// noise where it does so seldom.
    fn scatter_w(&self) -> f64 {
        let mut apart: Vec<f64> = self
            .points
            .windows(5)
            .map(|five| {
                let outer_w = five[0].power_w + five[4].power_w;
                (outer_w - 4.0 * (five[1].power_w + five[3].power_w) + 6.0 * five[2].power_w).abs()
            })
            .collect();
        if apart.is_empty() {
            return 0.0;
        }
        apart.sort_by(f64::total_cmp);
        let smallest = &apart[..(apart.len() * 2).div_ceil(5)];
        let mean_w = smallest.iter().sum::<f64>() / smallest.len() as f64;
        (mean_w / (0.2563 * 70.0f64.sqrt())).min(MAX_NOISE_W)
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

/// The slope at a point between two intervals, each with its mean slope and its length: none at a peak, else their
/// weighted harmonic mean (Fritsch and Butland 1984), with which the curve never leaves the values it connects.
fn one_way((before, before_sec): (f64, f64), (after, after_sec): (f64, f64)) -> f64 {
    if before * after <= 0.0 {
        return 0.0;
    }
    let (first, second) = (2.0 * after_sec + before_sec, after_sec + 2.0 * before_sec);
    (first + second) / (first / before + second / after)
}

/// W·s under the cubic from `from` to `to` within the first `since` seconds.
fn area(from: Point, to: Point, since: f64) -> f64 {
    let sec = to.at - from.at;
    let part = since / sec;
    let (part2, part3, part4) = (part.powi(2), part.powi(3), part.powi(4));
    let (start, start_slope) = (
        part4 / 2.0 - part3 + part,
        part4 / 4.0 - 2.0 * part3 / 3.0 + part2 / 2.0,
    );
    let (end, end_slope) = (part3 - part4 / 2.0, part4 / 4.0 - part3 / 3.0);
    sec * (start * from.power_w + end * to.power_w + sec * (start_slope * from.slope + end_slope * to.slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Power that rises from 100 W by 10 W a refresh of 20 ms, five times, and falls back, each place off by `half`.
    fn up_and_down(half: f64, leans: Option<usize>) -> Vec<f64> {
        let mut curve = PowerCurve {
            slowest_sec: 0.02,
            ..PowerCurve::default()
        };
        for refresh in 0..=10u32 {
            let at = f64::from(refresh) * 0.02;
            let power_w = 150.0 - 10.0 * (f64::from(refresh) - 5.0).abs();
            curve.add(Place { at, half, leans }, power_w);
        }
        curve.finish();
        let mut displaced_j = curve.displaced_j(0.0, 0.2);
        displaced_j.sort_by(f64::total_cmp);
        displaced_j
    }

    #[test]
    fn places_that_lean_on_one_refresh_lose_in_the_fall_what_they_gained_in_the_rise() {
        let displaced_j: f64 = up_and_down(0.002, Some(7)).iter().sum();
        assert!(displaced_j < 1e-9, "{displaced_j}");
    }

    #[test]
    fn sharp_places_are_off_each_by_itself() {
        let displaced_j = up_and_down(0.002, None);
        let inner = displaced_j.iter().filter(|moved_j| (**moved_j - 0.02).abs() < 1e-9);
        assert_eq!(inner.count(), 8, "10 W on either side, 2 ms: {displaced_j:?}");
        assert!(displaced_j.iter().all(|moved_j| *moved_j < 0.021));
    }

    #[test]
    fn unsharp_places_may_be_off_the_same_way_as_long_as_power_goes_one_way() {
        let displaced_j = up_and_down(0.009, None);
        let [.., fall_j, rise_j] = displaced_j.as_slice() else {
            panic!("a rise and a fall: {displaced_j:?}");
        };
        assert!(
            (fall_j - 0.405).abs() < 0.06 && (rise_j - 0.405).abs() < 0.06,
            "{displaced_j:?}"
        );
    }
}
