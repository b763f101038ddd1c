//! How often a sensor really refreshes, told from when its value was seen to change. Pure.
//!
//! Owns what counts as evidence. Deliberately does not know the value: a power that stays equal says nothing of its
//! sensor, so only periods that hardware has are believed.

use std::collections::VecDeque;

use crate::clock::Monotonic;

/// Counters and power sensors of GPUs refresh every 20 to 100 ms; a longer rhythm is the load's, not the sensor's.
const LONGEST_SEC: f64 = 0.15;

/// No register refreshes faster; a value that does moves by its smallest step.
const SHORTEST_SEC: f64 = 2e-4;

/// A period is told from at least this many of its repetitions.
const FEWEST: usize = 3;

const KEPT: usize = 15;

/// So many readings in a row that all differed bound the period by their spacing: n steps within n + 1 gaps.
const RUN: usize = 8;

/// A step must be known to this part of the period, or it says nothing.
const SHARPNESS: f64 = 0.35;

/// Known to this part it is as good as any.
const SHARP: f64 = 0.15;

#[derive(Clone, Debug, Default)]
pub struct RefreshDetector {
    last_read: Option<Monotonic>,
    /// The gap in which the last step fell.
    last_step: Option<(Monotonic, Monotonic)>,
    /// Whether the value was read unchanged since then: without that, steps may have been skipped.
    stood_still: bool,
    /// Each with how exactly it is known, in seconds.
    periods: VecDeque<(f64, f64)>,
    run: VecDeque<Monotonic>,
    bound: Option<f64>,
}

impl RefreshDetector {
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
            // Each step somewhere in its gap: the middles are taken.
            let period = (before.sec_since(after) + at.sec_since(by)) / 2.0;
            let doubt = (by.sec_since(after) + at.sec_since(before)) / 2.0;
            if period < SHORTEST_SEC {
                self.bound = Some(self.bound.map_or(period, |known| known.min(period)));
            } else if period <= LONGEST_SEC && doubt <= SHARPNESS * period {
                self.keep(period, doubt);
            }
        }
        self.last_step = Some((before, at));
        self.stood_still = false;
    }

    /// What was seen sharply outweighs what was not: readings crowd after an edge and are rare in between.
    fn keep(&mut self, period: f64, doubt: f64) {
        let sharpest = self
            .periods
            .iter()
            .map(|(_, doubt)| *doubt)
            .fold(f64::INFINITY, f64::min);
        let sharp = SHARP * period;
        if doubt > sharp.max(2.0 * sharpest) {
            return;
        }
        self.periods.retain(|(_, known)| *known <= sharp.max(2.0 * doubt));
        self.periods.push_back((period, doubt));
        if self.periods.len() > KEPT {
            self.periods.pop_front();
        }
    }

    fn note_run(&mut self, at: Monotonic) {
        self.run.push_back(at);
        if self.run.len() > RUN + 1 {
            self.run.pop_front();
        }
        if self.run.len() == RUN + 1 {
            let bound = at.sec_since(self.run[0]) / (RUN - 1) as f64;
            self.bound = Some(self.bound.map_or(bound, |known| known.min(bound)));
        }
    }

    /// What came before has no connection with what comes; what is known of the sensor stays.
    pub fn start_over(&mut self) {
        self.last_read = None;
        self.last_step = None;
        self.stood_still = false;
        self.run.clear();
    }

    /// The mean of what was seen near its median; none with too little of it, or where readings that all differ refute it.
    pub fn period_sec(&self) -> Option<f64> {
        if self.periods.len() < FEWEST {
            return None;
        }
        let mut sorted: Vec<f64> = self.periods.iter().map(|(period, _)| *period).collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        // Single periods come out in steps of the readings' spacing; their mean does not.
        sorted.retain(|period| (period - median).abs() <= SHARPNESS * median);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        self.bound.is_none_or(|bound| mean <= 2.0 * bound).then_some(mean)
    }

    pub fn bound_sec(&self) -> Option<f64> {
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a counter of `period` at every moment given.
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
    fn readings_further_apart_than_the_period_do_not_tell_it() {
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
