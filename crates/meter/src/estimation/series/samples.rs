//! The samples of a series, bounded, and what breaks them.

use std::collections::VecDeque;

use super::levels::Levels;
use super::refresh_period::RefreshDetector;
use joulemark_measurement::clock::Monotonic;

/// 2 h at 100 ms are 72,000 samples. Beyond this the older half is thinned to every second sample rather than
/// dropped: a window may be longer than any bound, and totals at the samples that stay are exact. About 6 MB.
pub(super) const CAPACITY: usize = 73_728;

/// A step is foretold where it is known to this part of its period.
const MAX_FORETOLD_ERROR: f64 = 0.25;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: Monotonic,
    /// The quantity since some zero; only differences mean anything.
    pub total: f64,
    /// Power at this moment where power is what was sampled: inside an interval it is taken as linear.
    pub power_w: Option<f64>,
    /// The last reading that showed another value, and the first that showed this one: between them it came about.
    pub(super) changed_after: Monotonic,
    pub(super) changed_by: Monotonic,
    pub(super) epoch: u32,
    /// Read for the sake of a window's edge; never thinned away.
    pub(super) edge: bool,
}

impl Sample {
    /// Returns the two readings that enclose the change to this value, in seconds from `origin`.
    pub(super) fn changed_within(&self, origin: Monotonic) -> (f64, f64) {
        (self.changed_after.sec_since(origin), self.changed_by.sec_since(origin))
    }
}

/// When a counter that stands still for longer than its refresh period is at rest, rather than late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rests {
    #[default]
    Always,
    UntilItMoves,
    Never,
}

#[derive(Clone, Debug, Default)]
pub struct Series {
    pub(super) samples: VecDeque<Sample>,
    pub(super) epoch: u32,
    pub(super) breaks: VecDeque<(u32, String)>,
    pub(super) refresh: RefreshDetector,
    pub(super) levels: Levels,
    pub(super) rests: Rests,
    /// How many power values the last sample is the mean of.
    pub(super) at_last_stamp: u32,
}

impl Series {
    /// Creates an empty series of a counter that refreshes at least this often, unless it is at rest.
    pub fn of_counter(slowest_sec: f64, rests: Rests) -> Self {
        Self {
            refresh: RefreshDetector::up_to(slowest_sec),
            rests,
            ..Self::default()
        }
    }

    /// A cumulative value. One that falls breaks the series: what happened in between is unknown.
    pub fn push_total(&mut self, at: Monotonic, total: f64, edge: bool) {
        let (mut changed_after, mut changed_by) = (at, at);
        if let Some(last) = self.samples.back_mut() {
            if at < last.at {
                return;
            }
            if at == last.at {
                last.total = last.total.max(total);
                last.edge |= edge;
                return;
            }
            let last = *last;
            if total < last.total {
                let why = format!(
                    "the counter went back from {:.3} to {total:.3}: it was reset, as by a reload of the driver",
                    last.total
                );
                self.break_off(why);
            }
            if last.epoch == self.epoch {
                let moved = total > last.total;
                self.refresh.observe(at, moved);
                (changed_after, changed_by) = if moved {
                    (last.at, at)
                } else {
                    (last.changed_after, last.changed_by)
                };
            }
        }
        self.push(Sample {
            at,
            total,
            power_w: None,
            changed_after,
            changed_by,
            epoch: self.epoch,
            edge,
        });
    }

    /// From the next sample on, growth over what went before is unknown, for this reason.
    pub fn break_off(&mut self, why: String) {
        // A series that fails at every sweep must not collect a reason each time.
        if self.samples.back().is_some_and(|last| last.epoch == self.epoch) {
            self.epoch += 1;
            self.breaks.push_back((self.epoch, why));
            self.refresh.start_over();
        }
    }

    pub fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    pub fn first(&self) -> Option<&Sample> {
        self.samples.front()
    }

    /// From a sample that was the last one to the one that is it now; 0 across a break, where it is unknown.
    pub fn growth_since(&self, before: &Sample) -> f64 {
        let now = self.last().filter(|now| now.epoch == before.epoch);
        now.map_or(0.0, |now| (now.total - before.total).max(0.0))
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// How often the value was seen to move, in seconds; none where the samples do not tell.
    pub fn refresh_sec(&self) -> Option<f64> {
        self.refresh.period_sec().filter(|_| self.tells_of_its_sensor())
    }

    fn tells_of_its_sensor(&self) -> bool {
        self.levels.more || self.last().is_none_or(|last| last.power_w.is_none())
    }

    /// Whether the refresh period is known as sharply as one edge can tell.
    pub fn refresh_is_settled(&self) -> bool {
        self.refresh.is_settled()
    }

    /// When the next step of the value is to be seen, and how far off that may be in seconds; none where the last one
    /// was not seen well enough to tell.
    pub fn next_step(&self) -> Option<(Monotonic, f64)> {
        let (period, off_sec) = self.refresh.period().filter(|_| self.tells_of_its_sensor())?;
        let (after, by) = self.refresh.last_step()?;
        let half = by.sec_since(after) / 2.0;
        (half + off_sec < MAX_FORETOLD_ERROR * period)
            .then(|| (Monotonic::from_sec(by.as_sec() - half + period), half + off_sec))
    }

    /// The longest that a refresh can take as far as the samples tell: the detected period, or the spacing of samples
    /// that all differed.
    pub fn refresh_bound_sec(&self) -> Option<f64> {
        self.refresh_sec().or(self.refresh.bound_sec())
    }

    /// Returns how slow the sensor may be by the longest time that its value was seen to stand still.
    pub fn seen_still_sec(&self) -> f64 {
        self.refresh.seen_still_sec()
    }

    /// Returns whether a value that is shown for longer than a period is the same after a refresh.
    pub(super) fn rests_at(&self, sample: &Sample) -> bool {
        match self.rests {
            Rests::Always => true,
            Rests::UntilItMoves => sample.changed_after == sample.changed_by,
            Rests::Never => false,
        }
    }

    /// Returns how long the counter has surely stood still since its last step; 0 where it may be at rest.
    pub fn still_sec(&self) -> f64 {
        let last = self.last().filter(|last| !self.rests_at(last));
        last.map_or(0.0, |last| last.at.sec_since(last.changed_by))
    }

    /// Returns for how long readings showed a sample's value.
    pub(super) fn shown_sec(&self, sample: &Sample) -> f64 {
        let next = self
            .samples
            .partition_point(|other| other.changed_by <= sample.changed_by);
        self.samples[next.max(1) - 1].at.sec_since(sample.changed_by)
    }

    /// The last sample at or before `at`, or the first of all.
    pub fn nearest(&self, at: Monotonic) -> Option<&Sample> {
        self.samples
            .get(self.samples.partition_point(|sample| sample.at <= at).saturating_sub(1))
    }

    /// Whether the value was seen to move in a reading after `at`.
    pub fn moved_since(&self, at: Monotonic) -> bool {
        self.last().is_some_and(|last| last.changed_by > at)
    }

    /// Mean growth per second over the last `over_sec`, or over what there is.
    pub fn recent_rate(&self, over_sec: f64) -> Option<f64> {
        let last = self.last()?;
        let old_enough = |sample: &Sample| last.at.sec_since(sample.at) >= over_sec;
        let before_last = self.samples.len().checked_sub(2)?;
        let found = self
            .samples
            .partition_point(old_enough)
            .saturating_sub(1)
            .min(before_last);
        let before = self
            .samples
            .range(found..=before_last)
            .find(|sample| sample.epoch == last.epoch)?;
        Some((last.total - before.total) / last.at.sec_since(before.at))
    }

    pub(super) fn push(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        if self.samples.len() > CAPACITY {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let half = self.samples.len() / 2;
        let mut position = 0usize;
        let mut previous_epoch = None;
        self.samples.retain(|sample| {
            let starts_epoch = previous_epoch != Some(sample.epoch);
            previous_epoch = Some(sample.epoch);
            position += 1;
            position > half || sample.edge || starts_epoch || position.is_multiple_of(2)
        });
        // Nothing but edges: months of short cycles. The oldest go; their windows were read long ago.
        if self.samples.len() > CAPACITY * 7 / 8 {
            self.samples.drain(..CAPACITY / 4);
        }
        let first_epoch = self.samples.front().map_or(0, |sample| sample.epoch);
        self.breaks.retain(|(epoch, _)| *epoch > first_epoch);
    }
}
