//! Stores the samples of a series in bounded memory, and the breaks between them.

use std::collections::VecDeque;

use super::levels::Levels;
use super::refresh_period::RefreshDetector;
use joulemark_measurement::clock::Monotonic;

/// Maximum number of samples: 2 h at 100 ms are 72,000. Beyond it every second sample of the older half is dropped. A
/// window may be of any length, and totals at the samples that stay are exact. About 6 MB.
pub(super) const CAPACITY: usize = 73_728;

/// Maximum error, as a part of the period, with which a step is predicted.
const MAX_FORETOLD_ERROR: f64 = 0.25;

/// One sample of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Time of the reading.
    pub at: Monotonic,
    /// Quantity since an arbitrary zero. Only differences are meaningful.
    pub total: f64,
    /// Power in W where power was sampled, taken as linear between samples; `None` for a counter.
    pub power_w: Option<f64>,
    /// Last reading that showed another value.
    pub(super) changed_after: Monotonic,
    /// First reading that showed this value.
    pub(super) changed_by: Monotonic,
    /// Number of breaks before the sample.
    pub(super) epoch: u32,
    /// Whether it was read for a window's edge. Such a sample is never thinned out.
    pub(super) edge: bool,
}

impl Sample {
    /// Returns the two readings that enclose the change to this value, in seconds from `origin`.
    pub(super) fn changed_within(&self, origin: Monotonic) -> (f64, f64) {
        (self.changed_after.sec_since(origin), self.changed_by.sec_since(origin))
    }
}

/// The condition under which a counter that stands still for longer than its refresh period is at rest rather than
/// late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rests {
    /// It is at rest whenever it stands still.
    #[default]
    Always,
    /// It is at rest until it moves for the first time.
    UntilItMoves,
    /// It is never at rest.
    Never,
}

/// One cumulative quantity, sampled over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub(super) samples: VecDeque<Sample>,
    pub(super) epoch: u32,
    pub(super) breaks: VecDeque<(u32, String)>,
    pub(super) refresh: RefreshDetector,
    pub(super) levels: Levels,
    pub(super) rests: Rests,
    /// Number of power readings of which the last sample is the mean.
    pub(super) at_last_stamp: u32,
}

impl Series {
    /// Creates the empty series of a counter that refreshes at least every `slowest_sec`, unless it is at rest.
    pub fn of_counter(slowest_sec: f64, rests: Rests) -> Self {
        Self {
            refresh: RefreshDetector::up_to(slowest_sec),
            rests,
            ..Self::default()
        }
    }

    /// Adds a cumulative value. A value that falls breaks the series: growth in between is unknown.
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
                    "the counter fell from {:.3} to {total:.3}: it was reset, for example by a reload of the driver",
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

    /// Breaks the series: growth between the samples before and after is unknown, for this reason.
    pub fn break_off(&mut self, why: String) {
        // A series that fails at every sweep stores one reason only.
        if self.samples.back().is_some_and(|last| last.epoch == self.epoch) {
            self.epoch += 1;
            self.breaks.push_back((self.epoch, why));
            self.refresh.start_over();
        }
    }

    /// Returns the newest sample.
    pub fn last(&self) -> Option<&Sample> {
        self.samples.back()
    }

    /// Returns the oldest sample.
    pub fn first(&self) -> Option<&Sample> {
        self.samples.front()
    }

    /// Returns the growth from an earlier sample to the newest; 0 across a break, where growth is unknown.
    pub fn growth_since(&self, before: &Sample) -> f64 {
        let now = self.last().filter(|now| now.epoch == before.epoch);
        now.map_or(0.0, |now| (now.total - before.total).max(0.0))
    }

    /// Returns whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Returns the refresh period in seconds; `None` when the samples do not show it.
    pub fn refresh_sec(&self) -> Option<f64> {
        self.refresh.period_sec().filter(|_| self.tells_of_its_sensor())
    }

    /// Returns whether changes of the value show the sensor's refreshes. Power with only two values shows the load's
    /// rhythm.
    fn tells_of_its_sensor(&self) -> bool {
        self.levels.more || self.last().is_none_or(|last| last.power_w.is_none())
    }

    /// Returns whether longer observation would hardly make the refresh period sharper.
    pub fn refresh_is_settled(&self) -> bool {
        self.refresh.is_settled()
    }

    /// Returns the time of the next step of the value and the half-width of its error in seconds; `None` when the last
    /// step or the period is not known well enough.
    pub fn next_step(&self) -> Option<(Monotonic, f64)> {
        let (period, off_sec) = self.refresh.period().filter(|_| self.tells_of_its_sensor())?;
        let (after, by) = self.refresh.last_step()?;
        let half = by.sec_since(after) / 2.0;
        (half + off_sec < MAX_FORETOLD_ERROR * period)
            .then(|| (Monotonic::from_sec(by.as_sec() - half + period), half + off_sec))
    }

    /// Returns the longest refresh period in seconds that the samples allow: the detected period, or a bound from
    /// readings that all differed. `None` when there is neither.
    pub fn refresh_bound_sec(&self) -> Option<f64> {
        self.refresh_sec().or(self.refresh.bound_sec())
    }

    /// Returns the longest time in seconds for which the value was seen to stand still.
    pub fn seen_still_sec(&self) -> f64 {
        self.refresh.seen_still_sec()
    }

    /// Returns whether the counter is at rest at a sample: a value shown for longer than a period was refreshed to the
    /// same.
    pub(super) fn rests_at(&self, sample: &Sample) -> bool {
        match self.rests {
            Rests::Always => true,
            Rests::UntilItMoves => sample.changed_after == sample.changed_by,
            Rests::Never => false,
        }
    }

    /// Returns how long in seconds the counter has stood still since its last step; 0 where it may be at rest.
    pub fn still_sec(&self) -> f64 {
        let last = self.last().filter(|last| !self.rests_at(last));
        last.map_or(0.0, |last| last.at.sec_since(last.changed_by))
    }

    /// Returns how long in seconds readings showed a sample's value.
    pub(super) fn shown_sec(&self, sample: &Sample) -> f64 {
        let next = self
            .samples
            .partition_point(|other| other.changed_by <= sample.changed_by);
        self.samples[next.max(1) - 1].at.sec_since(sample.changed_by)
    }

    /// Returns the last sample at or before `at`, or the oldest sample when there is none.
    pub fn nearest(&self, at: Monotonic) -> Option<&Sample> {
        self.samples
            .get(self.samples.partition_point(|sample| sample.at <= at).saturating_sub(1))
    }

    /// Returns whether a reading after `at` showed a new value.
    pub fn moved_since(&self, at: Monotonic) -> bool {
        self.last().is_some_and(|last| last.changed_by > at)
    }

    /// Returns the mean growth per second over the last `over_sec` seconds, or over less when the series is shorter;
    /// `None` with fewer than two connected samples.
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

    /// Appends a sample, and thins the older half when there are too many.
    pub(super) fn push(&mut self, sample: Sample) {
        self.samples.push_back(sample);
        if self.samples.len() > CAPACITY {
            self.thin();
        }
    }

    /// Drops every second sample of the older half, except those of edges and the first after each break.
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
        // With almost nothing but edges, as after months of short cycles, the oldest samples are dropped. Their windows
        // were read long ago.
        if self.samples.len() > CAPACITY * 7 / 8 {
            self.samples.drain(..CAPACITY / 4);
        }
        let first_epoch = self.samples.front().map_or(0, |sample| sample.epoch);
        self.breaks.retain(|(epoch, _)| *epoch > first_epoch);
    }
}
