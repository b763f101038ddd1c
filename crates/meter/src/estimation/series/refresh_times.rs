//! When the refreshes of a value that moves in steps of time were. Pure.
//!
//! A value read from a counter belongs to its last refresh, not to the moment of reading. Each value is therefore
//! placed at the refresh it came from, as closely as the readings around it tell. Deliberately knows no windows: the
//! value at a moment depends on the moment alone, so growth adds up.

use std::ops::Range;

use super::counter_interpolation::{Reached, Side, Slope, Tick, between, beyond};
use super::samples::{Sample, Series};
use joulemark_measurement::clock::Monotonic;

/// A value read unchanged for longer than this many periods has been refreshed since, to the same.
const RESTS_AFTER_PERIODS: f64 = 1.5;

/// Refreshes are not perfectly even: the part of a period by which one may miss its place.
const JITTER: f64 = 0.0002;

/// A reading is stamped after it was made: the value may be older by the call's length.
const STAMP_SEC: f64 = 1.1e-6;

/// Over more periods than this a refresh's place is not foretold.
const LEANS_PERIODS: f64 = 100.0;

/// How many samples on either side of an edge are looked at for them.
const NEAR: usize = 600;

/// How many of those caught on either side are tried.
const LEANS_ON: usize = 4;

/// Caught in the act is what was seen to come within this part of a period.
const CAUGHT: f64 = 0.3;

/// A place at either end is told from one anywhere between where the ends are known to this part of the whole.
const TORN: f64 = 0.1;

/// How many refreshes a slope may reach back or ahead to become sharp.
const REACH: usize = 6;

impl Series {
    /// The counter at `at`, which must lie between samples of one epoch. `refresh_sec` is how old a value can be when
    /// it is read; with 0 values belong to their stamps and the curve is linear between them.
    pub(super) fn reached(&self, at: Monotonic, refresh_sec: f64) -> Reached {
        self.reached_among(at, refresh_sec, NEAR)
    }

    /// The same, placed by so many samples on either side.
    pub(super) fn reached_among(&self, at: Monotonic, refresh_sec: f64, near: usize) -> Reached {
        let last_before = self.samples.partition_point(|sample| sample.at <= at) - 1;
        let epoch = self.samples[last_before].epoch;
        let near = last_before.saturating_sub(near)..(last_before + near).min(self.samples.len());
        let caught = self.caught(near, epoch, at, refresh_sec);
        let tick = |index: usize| {
            let sample = self.samples.get(index).filter(|sample| sample.epoch == epoch)?;
            Some(self.tick(sample, at, refresh_sec, &caught))
        };
        // Refreshes up to the moment, newest first, and those after it.
        let (mut before, mut after): (Vec<Tick>, Vec<Tick>) = (Vec::new(), Vec::new());
        let mut index = last_before;
        while let Some(found) = tick(index) {
            if found.at <= 0.0 {
                push_distinct(&mut before, found);
            } else {
                after.insert(0, found);
            }
            if before.len() > REACH || index == 0 {
                break;
            }
            index -= 1;
        }
        after.dedup_by(|later, earlier| later.at == earlier.at);
        index = last_before + 1;
        while after.len() <= REACH {
            let Some(found) = tick(index) else { break };
            index += 1;
            if found.at > 0.0 {
                push_distinct(&mut after, found);
            } else {
                before.insert(0, found);
            }
        }
        before.dedup_by(|earlier, later| earlier.at == later.at);
        let Some(from) = before.first().copied() else {
            // Before the first refresh that was seen: only an edge within a period of the first sample is.
            let first = after[0];
            return Reached {
                total: first.total,
                timing: 0.0,
                shape: 0.0,
            };
        };
        let side_before = Side::measure(&before, Slope::between);
        let Some(to) = after.first().copied() else {
            return beyond(from, side_before.near);
        };
        between(
            from,
            to,
            side_before,
            Side::measure(&after, |newer, older| Slope::between(older, newer)),
        )
    }

    fn tick(&self, sample: &Sample, origin: Monotonic, refresh_sec: f64, caught: &[(f64, f64)]) -> Tick {
        let since = |moment: Monotonic| moment.sec_since(origin);
        let read = since(sample.at);
        let mut leans = None;
        let (mut earliest, mut latest) = (since(sample.changed_after), since(sample.changed_by));
        if refresh_sec <= 0.0 {
            (earliest, latest) = (read, read);
        } else if read - RESTS_AFTER_PERIODS * refresh_sec > latest {
            // A counter at rest: refreshed within the last period.
            (earliest, latest) = (read - refresh_sec, read);
        } else if earliest == latest {
            // The value was there before the first reading, however often it was read since.
            earliest = latest - refresh_sec;
        } else {
            earliest = earliest.max(latest - refresh_sec);
        }
        let (mut stamp_sec, mut torn) = (0.0, false);
        if refresh_sec > 0.0 {
            let placed = self.narrowed((earliest, latest), caught);
            ((earliest, latest), leans, torn) = (placed.within, placed.leans, placed.torn);
            stamp_sec = STAMP_SEC;
        }
        Tick {
            at: (earliest + latest) / 2.0,
            half: ((latest - earliest) / 2.0).hypot(stamp_sec),
            total: sample.total,
            leans,
            torn,
        }
    }

    /// The refreshes between two samples that were caught in the act, in seconds from `origin`, oldest first.
    pub(super) fn caught(
        &self,
        indices: Range<usize>,
        epoch: u32,
        origin: Monotonic,
        refresh_sec: f64,
    ) -> Vec<(f64, f64)> {
        let steps = self
            .samples
            .range(indices)
            .filter(|sample| sample.epoch == epoch)
            .map(|sample| {
                (
                    sample.changed_after.sec_since(origin),
                    sample.changed_by.sec_since(origin),
                )
            });
        let mut caught: Vec<_> = steps
            .filter(|(after, by)| after < by && by - after <= CAUGHT * refresh_sec)
            .collect();
        caught.dedup();
        caught
    }

    /// A refresh nearby that was caught in the act says when one in `wide` was: some whole periods from it.
    pub(super) fn narrowed(&self, wide: (f64, f64), caught: &[(f64, f64)]) -> Narrowed {
        let middle = (wide.0 + wide.1) / 2.0;
        let split = caught.partition_point(|step| step.1 < middle);
        let itself = caught
            .get(split)
            .is_some_and(|step| step.0 >= wide.0 && step.1 <= wide.1);
        let mut narrowest = Narrowed {
            within: wide,
            leans: itself.then_some(split),
            torn: false,
        };
        let Some((period, doubt)) = self.refresh.period() else {
            return narrowest;
        };
        let nearest = split.saturating_sub(LEANS_ON)..(split + LEANS_ON).min(caught.len());
        let mut is_torn = false;
        for (index, (after, by)) in nearest.clone().zip(&caught[nearest]) {
            let (at, half) = ((after + by) / 2.0, (by - after) / 2.0);
            let periods = ((at - middle) / period).round();
            if periods.abs() > LEANS_PERIODS {
                continue;
            }
            let drift = periods.abs() * (period * JITTER + doubt);
            let (at, half) = (at - periods * period, half.hypot(drift));
            // Which of its periods it was must be beyond doubt.
            let fits = |shift: f64| at + half + shift + drift > wide.0 && at - half + shift - drift < wide.1;
            let (earliest, latest) = (wide.0.max(at - half), wide.1.min(at + half));
            let is_of_two = fits(period) || fits(-period);
            let is_told = fits(0.0) && !is_of_two && earliest < latest;
            if is_told && latest - earliest < narrowest.within.1 - narrowest.within.0 {
                narrowest = Narrowed {
                    within: (earliest, latest),
                    leans: Some(index),
                    torn: false,
                };
            }
            is_torn |= is_of_two && half + drift < TORN * (wide.1 - wide.0);
        }
        narrowest.torn = is_torn && narrowest.leans.is_none();
        narrowest
    }
}

/// Where a refresh was.
pub(super) struct Narrowed {
    pub(super) within: (f64, f64),
    /// The place among those caught of the one that says so, or of the refresh itself.
    pub(super) leans: Option<usize>,
    /// It was at either end, and nowhere between: one that was caught lies whole periods from both.
    pub(super) torn: bool,
}

/// Samples of one refresh give the same tick.
fn push_distinct(ticks: &mut Vec<Tick>, tick: Tick) {
    if ticks.last().is_none_or(|last| last.at != tick.at) {
        ticks.push(tick);
    }
}
