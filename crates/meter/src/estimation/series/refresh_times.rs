//! Finds the times of the refreshes of a value that is updated periodically, and the counter at any moment.
//!
//! A value read from a counter belongs to its last refresh, not to the time of reading. Each value is placed at the
//! refresh it came from, as closely as the readings around it allow. Knows no windows: the value at a moment depends on
//! the moment alone, so that growth adds up. An anchor is a refresh that two readings enclose sharply. Other refreshes
//! are placed whole periods from it.

use std::ops::Range;

use super::counter_interpolation::{Reached, Refresh, Side, Slope, between, beyond};
use super::refresh_period::{FAST_REFRESH_SEC, SHARP};
use super::samples::{Sample, Series};
use joulemark_measurement::clock::Monotonic;

/// Periods after which a value that is read unchanged is either that of a counter at rest, refreshed to the same value,
/// or late. When the next refresh is late, the periods around say nothing of the time of its own.
const LATE_AFTER_PERIODS: f64 = 1.5;

/// Unevenness of refreshes as a part of a period.
const JITTER: f64 = 0.0002;

/// Maximum age in seconds of a fresh value when it is stamped: a reading is stamped after the call.
const STAMP_SEC: f64 = 1.1e-6;

/// Samples on either side of an edge that are searched for anchors.
const SAMPLES_AROUND: usize = 600;

/// Anchors on either side that are tried.
const ANCHORS_TRIED: usize = 4;

/// Maximum number of refreshes over which a slope may extend to become sharp.
const MAX_SLOPE_REFRESHES: usize = 6;

impl Series {
    /// Returns the counter at `at`, which must lie between samples of one epoch. `refresh_sec` is the maximum age of a
    /// value when it is read. With 0, values belong to the time of reading and are interpolated linearly.
    pub(super) fn reached(&self, at: Monotonic, refresh_sec: f64) -> Reached {
        self.reached_among(at, refresh_sec, SAMPLES_AROUND)
    }

    /// Returns the same as [`reached`](Self::reached), with anchors among this many samples on either side.
    pub(super) fn reached_among(&self, at: Monotonic, refresh_sec: f64, samples: usize) -> Reached {
        let (before, after) = self.refreshes_beside(at, refresh_sec, samples);
        let Some(from) = before.first().copied() else {
            // `at` is before the first refresh that was seen, within a period of the first sample.
            return Reached::exactly(after[0].total);
        };
        let side_before = Side::measure(&before, Slope::between);
        let Some(to) = after.first().copied() else {
            return beyond(&before, side_before.near);
        };
        let side_after = Side::measure(&after, |newer, older| Slope::between(older, newer));
        between(from, to, side_before, side_after)
    }

    /// Returns the refreshes up to `at`, newest first, and those after it, oldest first.
    fn refreshes_beside(&self, at: Monotonic, refresh_sec: f64, samples: usize) -> (Vec<Refresh>, Vec<Refresh>) {
        let last_before = self.samples.partition_point(|sample| sample.at <= at) - 1;
        let epoch = self.samples[last_before].epoch;
        let around = last_before.saturating_sub(samples)..(last_before + samples).min(self.samples.len());
        let anchors = self.anchors(around, epoch, at, refresh_sec);
        let refresh = |index: usize| {
            let sample = self.samples.get(index).filter(|sample| sample.epoch == epoch)?;
            Some(self.refresh_of(sample, at, refresh_sec, &anchors))
        };
        let (mut before, mut after): (Vec<Refresh>, Vec<Refresh>) = (Vec::new(), Vec::new());
        let mut index = last_before;
        while let Some(found) = refresh(index) {
            if found.at <= 0.0 {
                push_distinct(&mut before, found);
            } else {
                after.insert(0, found);
            }
            if before.len() > MAX_SLOPE_REFRESHES || index == 0 {
                break;
            }
            index -= 1;
        }
        after.dedup_by(|later, earlier| later.at == earlier.at);
        index = last_before + 1;
        while after.len() <= MAX_SLOPE_REFRESHES {
            let Some(found) = refresh(index) else { break };
            index += 1;
            if found.at > 0.0 {
                push_distinct(&mut after, found);
            } else {
                before.insert(0, found);
            }
        }
        before.dedup_by(|earlier, later| earlier.at == later.at);
        (before, after)
    }

    /// Returns the refresh that brought a sample's value, with its time in seconds from `origin`.
    fn refresh_of(&self, sample: &Sample, origin: Monotonic, refresh_sec: f64, anchors: &[(f64, f64)]) -> Refresh {
        let since = |moment: Monotonic| moment.sec_since(origin);
        let read = since(sample.at);
        let (mut earliest, mut latest) = (since(sample.changed_after), since(sample.changed_by));
        let rests = self.rests_at(sample);
        let late_after_sec = FAST_REFRESH_SEC.max(LATE_AFTER_PERIODS * refresh_sec);
        let is_late = !rests && refresh_sec > 0.0 && self.shown_sec(sample) > late_after_sec;
        if refresh_sec <= 0.0 {
            (earliest, latest) = (read, read);
        } else if rests && read - LATE_AFTER_PERIODS * refresh_sec > latest {
            (earliest, latest) = (read - refresh_sec, read);
        } else if earliest == latest {
            // The value was there before the first reading.
            earliest = latest - refresh_sec;
        } else if !is_late {
            earliest = earliest.max(latest - refresh_sec);
        }
        let (mut stamp_sec, mut anchor, mut is_at_an_end) = (0.0, None, false);
        if refresh_sec > 0.0 && !is_late {
            let placed = self.narrowed((earliest, latest), anchors);
            ((earliest, latest), anchor, is_at_an_end) = (placed.within, placed.anchor, placed.is_at_an_end);
            stamp_sec = STAMP_SEC;
        }
        Refresh {
            at: (earliest + latest) / 2.0,
            half: ((latest - earliest) / 2.0).hypot(stamp_sec),
            total: sample.total,
            anchor,
            is_at_an_end,
            is_late,
        }
    }

    /// Returns the anchors among these samples, oldest first. Each is given by the two readings that enclose it, in
    /// seconds from `origin`.
    pub(super) fn anchors(
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
            .map(|sample| sample.changed_within(origin));
        let mut anchors: Vec<_> = steps
            .filter(|(after, by)| after < by && (by - after) / 2.0 <= SHARP * refresh_sec)
            .collect();
        anchors.dedup();
        anchors
    }

    /// Returns the range of a refresh that lies somewhere in `wide`: whole periods from an anchor, where one is near
    /// enough to leave no choice between two such places. Returns `wide` when there is none.
    pub(super) fn narrowed(&self, wide: (f64, f64), anchors: &[(f64, f64)]) -> Narrowed {
        let middle = (wide.0 + wide.1) / 2.0;
        let split = anchors.partition_point(|step| step.1 < middle);
        let is_one_itself = anchors
            .get(split)
            .is_some_and(|step| step.0 >= wide.0 && step.1 <= wide.1);
        let mut narrowest = Narrowed {
            within: wide,
            anchor: is_one_itself.then_some(split),
            is_at_an_end: false,
        };
        let Some((period, uncertainty_sec)) = self.refresh.period() else {
            return narrowest;
        };
        let nearest = split.saturating_sub(ANCHORS_TRIED)..(split + ANCHORS_TRIED).min(anchors.len());
        let mut is_at_an_end = false;
        for (index, (after, by)) in nearest.clone().zip(&anchors[nearest]) {
            let (at, half) = ((after + by) / 2.0, (by - after) / 2.0);
            let periods = ((at - middle) / period).round();
            let drift = periods.abs() * (period * JITTER + uncertainty_sec);
            let (at, half) = (at - periods * period, half.hypot(drift));
            let fits = |shift: f64| at + half + shift + drift > wide.0 && at - half + shift - drift < wide.1;
            let (earliest, latest) = (wide.0.max(at - half), wide.1.min(at + half));
            let is_of_two = fits(period) || fits(-period);
            let is_certain = fits(0.0) && !is_of_two && earliest < latest;
            if is_certain && latest - earliest < narrowest.within.1 - narrowest.within.0 {
                narrowest = Narrowed {
                    within: (earliest, latest),
                    anchor: Some(index),
                    is_at_an_end: false,
                };
            }
            is_at_an_end |= is_of_two && half + drift < SHARP * (wide.1 - wide.0);
        }
        narrowest.is_at_an_end = is_at_an_end && narrowest.anchor.is_none();
        narrowest
    }
}

/// The range in which a refresh was.
pub(super) struct Narrowed {
    /// Earliest and latest time, in seconds from the origin.
    pub(super) within: (f64, f64),
    /// Number of the anchor by which it was placed, or its own number when it is one.
    pub(super) anchor: Option<usize>,
    /// The refresh was at either end and nowhere in between: an anchor lies whole periods from both.
    pub(super) is_at_an_end: bool,
}

/// Adds a refresh, unless it equals the last one.
fn push_distinct(refreshes: &mut Vec<Refresh>, refresh: Refresh) {
    if refreshes.last().is_none_or(|last| last.at != refresh.at) {
        refreshes.push(refresh);
    }
}
