//! Builds the power curve of a polled sensor: one point for each refresh, at the time of the refresh.
//!
//! A poll shows a value of unknown age. Two polls that show different values enclose a refresh, so that no mean age has
//! to be assumed.

use super::power_curve::{Place, PowerCurve};
use super::samples::{Sample, Series};
use super::span::Span;
use joulemark_measurement::clock::Monotonic;

/// Seconds beyond a span's ends in which readings are used: the seven running averages of one second that correct an
/// edge, and the refreshes around them.
pub const AROUND_SEC: f64 = 8.5;

impl Series {
    /// Returns the curve through the refreshes in and around `span`, which readings of one epoch must cover.
    /// `refresh_sec` is the maximum age of a value when it is read; 0 for a value that is always fresh.
    pub fn refreshed(&self, span: Span, refresh_sec: f64) -> PowerCurve {
        let origin = span.start;
        let until = |at_sec: f64| {
            self.samples
                .partition_point(|sample| sample.at.sec_since(origin) < at_sec)
        };
        let around = until(-AROUND_SEC)..until(span.sec() + AROUND_SEC);
        let epoch = self.nearest(span.start).map_or(0, |sample| sample.epoch);
        let anchors = self.anchors(around.clone(), epoch, origin, refresh_sec);
        let polls = self.samples.range(around).filter(|sample| sample.epoch == epoch);
        let polls = polls.filter_map(|sample| Some((sample, sample.power_w?)));
        let mut values = Values::default();
        let mut last: Option<(&Sample, f64)> = None;
        for (sample, power_w) in polls {
            match last.replace((sample, power_w)) {
                None => values.add(Place::exactly(sample.at.sec_since(origin)), power_w),
                Some((_, before_w)) if before_w == power_w => {}
                Some((before, before_w)) => {
                    let place = self.place(sample, origin, refresh_sec, &anchors);
                    values.hold(before_w, before.at.sec_since(origin), place.at, refresh_sec);
                    values.add(place, power_w);
                }
            }
        }
        if let Some((last, power_w)) = last {
            values.add(Place::exactly(last.at.sec_since(origin)), power_w);
        }
        PowerCurve::through(values.0)
    }

    /// Returns the intervals longer than `longest_sec` in or next to `span` in which nothing was read, in seconds from
    /// the span's start.
    pub fn unread(&self, span: Span, longest_sec: f64) -> Vec<(f64, f64)> {
        let since = |sample: &Sample| sample.at.sec_since(span.start);
        let first = self.samples.partition_point(|sample| since(sample) < -AROUND_SEC);
        let read = self.samples.range(first..);
        read.clone()
            .zip(read.skip(1))
            .map(|(before, after)| (since(before), since(after)))
            .take_while(|(before, _)| *before < span.sec() + AROUND_SEC)
            .filter(|(before, after)| after - before > longest_sec)
            .collect()
    }

    /// Returns the time of the refresh that brought a sample's value.
    fn place(&self, sample: &Sample, origin: Monotonic, refresh_sec: f64, anchors: &[(f64, f64)]) -> Place {
        let by = sample.changed_by.sec_since(origin);
        if refresh_sec <= 0.0 {
            return Place::exactly(by);
        }
        let wide = (sample.changed_after.sec_since(origin).max(by - refresh_sec), by);
        let placed = self.narrowed(wide, anchors);
        let (after, by) = placed.within;
        Place {
            at: (after + by) / 2.0,
            half: (by - after) / 2.0,
            anchor: placed.anchor,
        }
    }
}

/// Values of power in W at the times when they were brought, oldest first.
#[derive(Default)]
struct Values(Vec<(Place, f64)>);

impl Values {
    /// Adds a value, unless its time is not later than the last.
    fn add(&mut self, place: Place, power_w: f64) {
        if self.0.last().is_none_or(|(last, _)| place.at > last.at) {
            self.0.push((place, power_w));
        }
    }

    /// Adds the value before a change once more, at the last time when it held: when it was last read, or at the
    /// refresh before the one at `changed_at`. Within half a period of the last point that refresh is the one that
    /// brought it.
    fn hold(&mut self, power_w: f64, last_read_at: f64, changed_at: f64, refresh_sec: f64) {
        let held_until = if refresh_sec > 0.0 {
            changed_at - ((changed_at - last_read_at) / refresh_sec).ceil().max(1.0) * refresh_sec
        } else {
            last_read_at
        };
        if self
            .0
            .last()
            .is_none_or(|(last, _)| held_until > last.at + refresh_sec / 2.0)
        {
            self.add(Place::exactly(held_until), power_w);
        }
    }
}
