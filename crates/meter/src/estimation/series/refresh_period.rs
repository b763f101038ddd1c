//! Detects the refresh period of a sensor from the times at which its value changed. Pure.
//!
//! Owns the evidence for a period. Does not know the value: a constant power says nothing of its sensor, so only
//! periods that hardware has are accepted.

use std::collections::VecDeque;

use joulemark_measurement::clock::Monotonic;

/// Maximum refresh period in seconds of power sensors and most counters. Those of GPUs refresh every 20 to 100 ms; a
/// longer period is the load's.
pub const MAX_REFRESH_SEC: f64 = 0.15;

/// Maximum refresh period in seconds of a counter. Some GPUs have counters that refresh once a second; a fifth is added
/// for unevenness. A counter always grows, so that the load's period is not mistaken for its own.
pub const MAX_COUNTER_REFRESH_SEC: f64 = 1.2;

/// Maximum refresh period in seconds of a fast sensor.
///
/// A fast counter is awaited at an edge; a slower one would delay the work. Fast power counts as always fresh and is
/// polled no more often than this: the board itself averages faster changes.
pub const FAST_REFRESH_SEC: f64 = 5e-3;

/// Minimum refresh period in seconds. A value that changes faster moves by its smallest step.
const MIN_REFRESH_SEC: f64 = 2e-4;

/// Minimum number of observed periods from which a period is computed.
const MIN_PERIODS: usize = 3;

/// Maximum number of observed periods that are stored.
const MAX_PERIODS: usize = 15;

/// Number of consecutive readings that all differed after which their spacing bounds the period: n steps lie within n +
/// 1 gaps.
const RUN_STEPS: usize = 8;

/// Maximum error, as a part of a period, of a sharp refresh. Other refreshes are placed by sharp ones.
pub const SHARP: f64 = 0.15;

/// Maximum error, as a part of a period, of usable evidence. Half a period would leave a choice between two numbers of
/// periods; [`SHARP`] is the margin.
pub const USABLE: f64 = 0.5 - SHARP;

/// Number of periods after which a period of 1 ms is known to microseconds.
const SETTLED_STRETCH_PERIODS: f64 = 20.0;

/// Number of periods after which a stretch begins anew, so that a clock that drifts is followed.
const MAX_STRETCH_PERIODS: f64 = 1000.0;

/// The detector of one sensor's refresh period.
#[derive(Clone, Debug)]
pub struct RefreshDetector {
    /// Longest period that such a sensor can have, in seconds.
    slowest_sec: f64,
    /// Longest time between two steps in which the value was seen to stand still, in seconds.
    longest_wait_sec: f64,
    last_read: Option<Monotonic>,
    /// The two readings between which the last step was.
    last_step: Option<(Monotonic, Monotonic)>,
    /// Whether the value was read unchanged since the last step. Otherwise steps may have been missed.
    stood_still: bool,
    /// Observed periods with the half-width of each, in seconds.
    periods: VecDeque<(f64, f64)>,
    /// Times of the last readings, all of which differed.
    run: VecDeque<Monotonic>,
    /// Upper bound of the period in seconds, from readings that all differed.
    bound: Option<f64>,
    /// The current stretch.
    stretch: Option<Stretch>,
    /// Period from the sharpest of the earlier stretches with its half-width, in seconds.
    from_stretch: Option<(f64, f64)>,
}

/// The time between two closely enclosed steps that are a certain number of periods apart. It gives the period
/// precisely.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    first: (Monotonic, Monotonic),
    last: (Monotonic, Monotonic),
    periods: f64,
}

impl Stretch {
    /// Creates a stretch that begins at a step.
    fn from(step: (Monotonic, Monotonic)) -> Self {
        Self {
            first: step,
            last: step,
            periods: 0.0,
        }
    }

    /// Returns the stretch extended to a step `later` periods after its end.
    fn with(self, step: (Monotonic, Monotonic), later: f64) -> Self {
        Self {
            last: step,
            periods: self.periods + later,
            ..self
        }
    }

    /// Returns the mean period and its half-width in seconds; `None` when the stretch has no length.
    fn period(self) -> Option<(f64, f64)> {
        let half = |step: (Monotonic, Monotonic)| step.1.sec_since(step.0) / 2.0;
        let sec = self.last.1.sec_since(self.first.1) - half(self.last) + half(self.first);
        (self.periods > 0.0).then(|| {
            (
                sec / self.periods,
                half(self.first).hypot(half(self.last)) / self.periods,
            )
        })
    }

    /// Returns the stretch extended to `step`, or a new one from there when the number of periods in between is
    /// uncertain.
    fn up_to(self, step: (Monotonic, Monotonic), period: (f64, f64)) -> Self {
        let half = (step.1.sec_since(step.0) + self.last.1.sec_since(self.last.0)) / 2.0;
        let later = (step.1.sec_since(self.last.1) + step.0.sec_since(self.last.0)) / 2.0 / period.0;
        let periods = later.round();
        let off_periods = (later * period.1 + half) / period.0;
        if periods < 1.0
            || off_periods > USABLE
            || (later - periods).abs() > off_periods
            || self.periods > MAX_STRETCH_PERIODS
        {
            return Self::from(step);
        }
        self.with(step, periods)
    }
}

impl Default for RefreshDetector {
    fn default() -> Self {
        Self::up_to(MAX_REFRESH_SEC)
    }
}

impl RefreshDetector {
    /// Creates a detector that accepts periods of up to `slowest_sec`.
    pub fn up_to(slowest_sec: f64) -> Self {
        Self {
            slowest_sec,
            longest_wait_sec: 0.0,
            last_read: None,
            last_step: None,
            stood_still: false,
            periods: VecDeque::new(),
            run: VecDeque::new(),
            bound: None,
            stretch: None,
            from_stretch: None,
        }
    }

    /// Returns the longest time in seconds for which the value was seen to stand still, at most the longest period that
    /// such a sensor can have.
    pub fn seen_still_sec(&self) -> f64 {
        let still = self.last_step.zip(self.last_read).filter(|_| self.stood_still);
        let now_sec = still.map_or(0.0, |((after, _), read)| read.sec_since(after));
        self.longest_wait_sec.max(now_sec).min(self.slowest_sec)
    }

    /// Records a reading at `at`, and whether its value differs from the one before.
    pub fn observe(&mut self, at: Monotonic, moved: bool) {
        let before = self.last_read.replace(at);
        if !moved {
            self.stood_still = true;
            self.run.clear();
            return;
        }
        let Some(before) = before else { return };
        self.note_run(at);
        if let Some((after, by)) = self.last_step.filter(|_| self.stood_still) {
            // Each step is somewhere in its gap. The middles of the gaps are used.
            let period = (before.sec_since(after) + at.sec_since(by)) / 2.0;
            let off_sec = (by.sec_since(after) + at.sec_since(before)) / 2.0;
            if before.sec_since(by) > 0.0 {
                self.longest_wait_sec = self.longest_wait_sec.max(at.sec_since(after)).min(self.slowest_sec);
            }
            if period < MIN_REFRESH_SEC {
                self.bound = Some(self.bound.map_or(period, |known| known.min(period)));
            } else if period <= self.slowest_sec && off_sec <= USABLE * period {
                self.add_period(period, off_sec);
            }
        }
        let step = (before, at);
        // Most readings are regular sweeps, too far apart to place anything.
        if at.sec_since(before) <= SHARP * MAX_REFRESH_SEC {
            self.lengthen(step);
        }
        self.last_step = Some(step);
        self.stood_still = false;
    }

    /// Extends the stretch to a step, when the step is sharp enough.
    fn lengthen(&mut self, step: (Monotonic, Monotonic)) {
        let single = self
            .last_step
            .filter(|_| self.stood_still)
            .map(|last| Stretch::from(last).with(step, 1.0));
        let from_stretch = single
            .and_then(Stretch::period)
            .filter(|(period, _)| self.is_a_sensor_s(*period));
        let period = self.period().or(from_stretch);
        let Some(period) = period.filter(|(period, _)| step.1.sec_since(step.0) <= SHARP * period) else {
            return;
        };
        let begun = self.stretch.or(single.map(|single| Stretch::from(single.first)));
        let longer = begun.map_or(Stretch::from(step), |stretch| stretch.up_to(step, period));
        if longer.periods == 0.0 {
            self.from_stretch = sharper(self.from_stretch, begun.and_then(Stretch::period));
        }
        self.stretch = Some(longer);
    }

    /// Stores an observed period. A sharp one replaces unsharp ones: readings are dense after an edge and rare
    /// elsewhere.
    fn add_period(&mut self, period: f64, off_sec: f64) {
        let sharpest = self
            .periods
            .iter()
            .map(|(_, off_sec)| *off_sec)
            .fold(f64::INFINITY, f64::min);
        let sharp = SHARP * period;
        if off_sec > sharp.max(2.0 * sharpest) {
            return;
        }
        self.periods.retain(|(_, known)| *known <= sharp.max(2.0 * off_sec));
        self.periods.push_back((period, off_sec));
        if self.periods.len() > MAX_PERIODS {
            self.periods.pop_front();
        }
    }

    /// Records a reading that differed from the one before, and bounds the period after enough of them.
    fn note_run(&mut self, at: Monotonic) {
        self.run.push_back(at);
        if self.run.len() > RUN_STEPS + 1 {
            self.run.pop_front();
        }
        if self.run.len() == RUN_STEPS + 1 {
            let bound = at.sec_since(self.run[0]) / (RUN_STEPS - 1) as f64;
            self.bound = Some(self.bound.map_or(bound, |known| known.min(bound)));
        }
    }

    /// Starts over after a break: the readings before and after it are not connected. The period stays known.
    pub fn start_over(&mut self) {
        self.last_read = None;
        self.last_step = None;
        self.stood_still = false;
        self.stretch = None;
        self.run.clear();
    }

    /// Returns the period in seconds, the mean of those near the median; `None` when too few were observed, or when
    /// readings that all differ refute it.
    pub fn period_sec(&self) -> Option<f64> {
        self.period().map(|(mean, _)| mean)
    }

    /// Returns the period, and the half-width of the error with which it predicts a step, both in seconds. `None` as
    /// for [`period_sec`](Self::period_sec).
    pub fn period(&self) -> Option<(f64, f64)> {
        if self.periods.len() < MIN_PERIODS {
            return None;
        }
        let mut sorted: Vec<(f64, f64)> = self.periods.iter().copied().collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let median = sorted[sorted.len() / 2].0;
        // Single periods are multiples of the readings' spacing; their mean is not.
        sorted.retain(|(period, _)| (period - median).abs() <= USABLE * median);
        let count = sorted.len() as f64;
        let mean = sorted.iter().map(|(period, _)| period).sum::<f64>() / count;
        let off_sec = sorted.iter().map(|(_, off_sec)| off_sec).sum::<f64>() / count / count.sqrt();
        let near = |from_stretch: &(f64, f64)| {
            self.is_a_sensor_s(from_stretch.0) && (from_stretch.0 - median).abs() <= USABLE * median
        };
        let from_stretch = sharper(self.from_stretch, self.stretch.and_then(Stretch::period)).filter(near);
        let (mean, off_sec) = sharper(from_stretch, Some((mean, off_sec))).unwrap_or((mean, off_sec));
        // The scatter of single periods beyond their errors is the sensor's unevenness.
        let uneven = sorted
            .iter()
            .map(|(period, known)| (period - mean).abs() - known - off_sec)
            .fold(0.0, f64::max);
        self.bound
            .is_none_or(|bound| mean <= 2.0 * bound)
            .then_some((mean, off_sec + uneven))
    }

    /// Returns whether longer observation would hardly make the period sharper.
    pub fn is_settled(&self) -> bool {
        self.from_stretch.is_some()
            || self
                .stretch
                .is_some_and(|stretch| stretch.periods >= SETTLED_STRETCH_PERIODS)
    }

    /// Returns whether a sensor can have such a period. A longer one is the load's.
    fn is_a_sensor_s(&self, period_sec: f64) -> bool {
        (MIN_REFRESH_SEC..=self.slowest_sec).contains(&period_sec)
    }

    /// Returns the two readings between which the last step was; `None` before the first step and after a break.
    pub fn last_step(&self) -> Option<(Monotonic, Monotonic)> {
        self.last_step
    }

    /// Returns the upper bound of the period in seconds; `None` when there were too few readings that all differed.
    pub fn bound_sec(&self) -> Option<f64> {
        self.bound
    }
}

/// Returns the one of two periods that has the smaller error.
fn sharper(one: Option<(f64, f64)>, other: Option<(f64, f64)>) -> Option<(f64, f64)> {
    one.into_iter()
        .chain(other)
        .min_by(|one, other| one.1.total_cmp(&other.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a counter with this `period` at every given moment.
    fn observed(period: f64, moments: impl Iterator<Item = f64>) -> RefreshDetector {
        let mut detector = RefreshDetector::default();
        let mut shown = None;
        for at in moments {
            let tick = (at / period).floor();
            detector.observe(Monotonic::from_sec(at), shown.is_some_and(|shown| shown != tick));
            shown = Some(tick);
        }
        detector
    }

    fn every(step: f64, count: u32) -> impl Iterator<Item = f64> {
        (0..count).map(move |i| 1.0 + f64::from(i) * step)
    }

    #[test]
    fn a_period_is_found_where_readings_are_closer_than_it() {
        for period in [0.02, 0.05, 0.1] {
            let found = observed(period, every(0.0023, 400)).period_sec().expect("a period");
            assert!((found - period).abs() < 0.03 * period, "{found} for {period}");
        }
    }

    #[test]
    fn readings_further_apart_than_the_period_do_not_show_it() {
        assert_eq!(observed(0.02, every(0.1, 200)).period_sec(), None);
        assert_eq!(observed(0.1, every(0.0999, 200)).period_sec(), None);
    }

    #[test]
    fn a_value_that_always_differs_is_bounded_by_the_spacing() {
        let detector = observed(1e-5, every(0.002, 20));
        assert_eq!(detector.period_sec(), None);
        assert!((detector.bound_sec().expect("a bound") - 0.002 * 8.0 / 7.0).abs() < 1e-6);
    }

    #[test]
    fn a_load_s_own_slow_rhythm_is_not_taken_for_the_sensor_s() {
        assert_eq!(observed(0.5, every(0.02, 500)).period_sec(), None);
    }
}
